// Calls what docs/integrations/serverpod.md sets up, as Serverpod does, with each of the API keys; prints the results.
import 'dart:io';

import 'mailroom.dart';
import 'serverpod_types.dart';
import 'setup.dart';

Future<void> main(List<String> arguments) async {
  final [url, ada, grace, bob, eve, ...keys] = arguments;
  for (final key in keys) {
    final pod = Serverpod({'mailroomUrl': url, 'mailroomApiKey': key});
    configure(pod);
    final session = Session();
    try {
      await pod.email.sendRegistrationVerificationCode!(
        session,
        email: ada,
        accountRequestId: const UuidValue('9f2b7c1a-0d7e-4a55-8d3c-1f2e3d4c5b6a'),
        verificationCode: 'k3x9q0ab',
        transaction: Transaction(),
      );
      await pod.email.sendPasswordResetVerificationCode!(
        session,
        email: grace,
        passwordResetRequestId: const UuidValue('1a2b3c4d-5e6f-4a7b-8c9d-0e1f2a3b4c5d'),
        verificationCode: 'z8m2p4cd',
        transaction: null,
      );
    } on MailroomException catch (error) {
      print('undone: ${error.status}');
    }
    final user = UserInfo(userIdentifier: eve, email: eve);
    print(await AuthConfig.current.sendValidationEmail!(session, bob, 'A1B2C3D4'));
    print(await AuthConfig.current.sendPasswordResetEmail!(session, user, 'B2C3D4E5'));
  }
  exit(0);
}
