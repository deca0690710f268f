<?php

// Sends one mail to each address of the command line; prints a report of each, with the seconds it would have slept.

declare(strict_types=1);

require $argv[1];

foreach (array_slice($argv, 2) as $url) {
    $slept = [];
    $sleep = static function (float $seconds) use (&$slept): void {
        $slept[] = $seconds;
    };
    try {
        $delivery = (new Mailroom($url, 'key', sleep: $sleep))->send('sign-in-code', 'reader@example.com', ['code' => '048213']);
        $report = ['status' => 200, 'text' => $delivery['status']];
    } catch (MailroomException $error) {
        $report = ['status' => $error->getCode(), 'text' => $error->getMessage()];
    }
    echo json_encode($report + ['slept' => $slept]), "\n";
}
