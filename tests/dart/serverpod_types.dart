// The types of Serverpod that its email sign-in calls us with, as of serverpod/serverpod 79cf560, August 2026.
import 'dart:async';

class Session {}

class Transaction {}

class UuidValue {
  const UuidValue(this.uuid);

  final String uuid;
}

typedef SendRegistrationVerificationCodeFunction = FutureOr<void> Function(
  Session session, {
  required String email,
  required UuidValue accountRequestId,
  required String verificationCode,
  required Transaction? transaction,
});
typedef SendPasswordResetVerificationCodeFunction = FutureOr<void> Function(
  Session session, {
  required String email,
  required UuidValue passwordResetRequestId,
  required String verificationCode,
  required Transaction? transaction,
});

class EmailIdpConfigFromPasswords {
  EmailIdpConfigFromPasswords({this.sendRegistrationVerificationCode, this.sendPasswordResetVerificationCode});

  final SendRegistrationVerificationCodeFunction? sendRegistrationVerificationCode;
  final SendPasswordResetVerificationCodeFunction? sendPasswordResetVerificationCode;
}

class JwtConfigFromPasswords {}

class Serverpod {
  Serverpod(this.passwords);

  final Map<String, String> passwords;
  late final EmailIdpConfigFromPasswords email;

  String? getPassword(String key) => passwords[key];

  void initializeAuthServices({
    required List<JwtConfigFromPasswords> tokenManagerBuilders,
    required List<EmailIdpConfigFromPasswords> identityProviderBuilders,
  }) =>
      email = identityProviderBuilders.single;
}

// The older module.

class UserInfo {
  const UserInfo({required this.userIdentifier, this.email});

  final String userIdentifier;
  final String? email;
}

typedef SendValidationEmail = Future<bool> Function(Session session, String email, String validationCode);
typedef SendPasswordResetEmail = Future<bool> Function(Session session, UserInfo userInfo, String validationCode);

class AuthConfig {
  const AuthConfig({this.sendValidationEmail, this.sendPasswordResetEmail});

  final SendValidationEmail? sendValidationEmail;
  final SendPasswordResetEmail? sendPasswordResetEmail;
  static AuthConfig current = const AuthConfig();

  static void set(AuthConfig config) => current = config;
}
