// Sends one mail to each address of the command line; prints a report of each, with the seconds it would have slept.
import 'dart:convert';

import 'mailroom.dart';

Future<void> main(List<String> urls) async {
  for (final url in urls) {
    final slept = <double>[];
    Future<void> sleep(Duration pause) async => slept.add(pause.inMicroseconds / 1e6);
    final mailroom = Mailroom(url: url, key: 'key', sleep: sleep);
    Map<String, Object> report;
    try {
      final delivery = await mailroom.send('sign-in-code', 'reader@example.com', data: {'code': '048213'});
      report = {'status': 200, 'text': delivery.status};
    } on MailroomException catch (error) {
      report = {'status': error.status, 'text': error.message};
    }
    mailroom.close();
    print(jsonEncode({...report, 'slept': slept}));
  }
}
