# Reads file names from standard input, one a line; prints each with its score and the rules it hit, tab-separated.
# One process for all of them: loading the rules takes seconds, judging a mail a fraction of one.
use strict;
use warnings;
use Mail::SpamAssassin;

my ($home) = @ARGV;
my $judge = Mail::SpamAssassin->new({
    local_tests_only    => 1,
    dont_copy_prefs     => 1,
    userprefs_filename  => "$home/none",
    userstate_dir       => $home,
    home_dir_for_helpers => $home,
    post_config_text    => "use_bayes 0\nuse_auto_welcomelist 0\nuse_auto_whitelist 0\n",
});
$judge->compile_now(0);
while (my $name = <STDIN>) {
    chomp $name;
    open(my $file, '<:raw', $name) or die "$name: $!";
    my $mail = $judge->parse([<$file>]);
    my $verdict = $judge->check($mail);
    my @hits = map { sprintf "%s=%s", $_, $judge->{conf}{scores}{$_} // 1 } sort split /,/, $verdict->get_names_of_tests_hit();
    printf "%s\t%.3f\t%s\n", $name, $verdict->get_score(), join ' ', @hits;
    $verdict->finish();
    $mail->finish();
}
$judge->finish();
