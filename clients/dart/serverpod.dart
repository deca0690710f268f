// The mails of Serverpod's email sign-in, for both of its modules. Copy this file and mailroom.dart into your server.

import 'dart:async';

import 'mailroom.dart';

/// Callbacks of `EmailIdpConfig` (serverpod_auth_idp_server), and of `AuthConfig` (serverpod_auth_server).
///
/// Serverpod passes no language: [locales] are those of every mail. [onError] gets each failure: the older module hides
/// them, and early versions of the newer one do not wait for its callbacks.
class ServerpodMails {
  const ServerpodMails(
    this.mailroom, {
    this.application,
    this.locales,
    this.lifetime = const Duration(minutes: 15),
    this.onError,
  });

  final Mailroom mailroom;
  final String? application;
  final List<String>? locales;
  final Duration lifetime;
  final void Function(Object error)? onError;

  /// Serverpod calls it within a database transaction, which an exception undoes where Serverpod waits for the callback:
  /// the mail is queued, which is quick.
  Future<void> sendRegistrationVerificationCode(
    Object session, {
    required String email,
    required Object accountRequestId,
    required String verificationCode,
    Object? transaction,
  }) =>
      _send('sign-up-code', email, verificationCode, mode: 'queued');

  Future<void> sendPasswordResetVerificationCode(
    Object session, {
    required String email,
    required Object passwordResetRequestId,
    required String verificationCode,
    Object? transaction,
  }) =>
      _send('password-reset', email, verificationCode, mode: 'queued');

  /// The older module; `false` is reported to the client as a failure.
  Future<bool> sendValidationEmail(Object session, String email, String validationCode) =>
      _succeeds(_send('sign-up-code', email, validationCode));

  /// The older module; [userInfo] is its `UserInfo`.
  Future<bool> sendPasswordResetEmail(Object session, dynamic userInfo, String validationCode) =>
      _succeeds(_send('password-reset', userInfo.email as String, validationCode));

  Future<void> _send(String kind, String to, String code, {String? mode}) async {
    final data = {'code': code, if (application != null) 'application': application};
    try {
      await mailroom.send(kind, to, data: data, locales: locales, mode: mode, expiresIn: lifetime);
    } on MailroomException catch (error) {
      onError?.call(error);
      rethrow;
    }
  }

  Future<bool> _succeeds(Future<void> sending) async {
    try {
      await sending;
      return true;
    } on MailroomException {
      return false;
    }
  }
}
