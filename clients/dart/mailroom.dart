// Sends mail through Mailroom. Copy this file into your server: it needs nothing but Dart 3.
//
// ```dart
// final mailroom = Mailroom(url: 'https://…', key: apiKey);
// await mailroom.send('sign-in-code', 'reader@example.com', data: {'code': '048213'}, locales: ['de']);
// ```
//
// A request that fails on the way, is throttled, or finds Mailroom unavailable is repeated with the same idempotency
// key: it becomes one mail.

import 'dart:async';
import 'dart:convert';
import 'dart:io';
import 'dart:math';

/// The status of a mail: `sent`; `accepted`, which will be sent; or `skipped`, for the given reason.
class Delivery {
  const Delivery(this.messageId, this.status, this.reason, this.provider, this.providerId);

  final String messageId;
  final String status;
  final String reason;
  final String provider;
  final String providerId;
}

/// The mail was not sent. With [status] 0, Mailroom could not be reached; [problems] are sentences about fields.
class MailroomException implements Exception {
  const MailroomException(this.message, this.status, [this.problems = const {}]);

  final String message;
  final int status;
  final Map<String, String> problems;

  @override
  String toString() => message;
}

class _Answer {
  const _Answer(this.status, this.body, this.retryAfter);

  final int status;
  final Map<String, Object?> body;
  final Duration? retryAfter;

  String text(String name) => body[name] is String ? body[name] as String : '';

  /// Whether the request is worth repeating. One that no provider accepted, or one may have, is not.
  bool get isTemporary {
    if (status == 409) {
      return retryAfter != null; // the same mail is being sent at this moment
    }
    final isFinal =
        (status == 502 && text('status') == 'failed') || (status == 504 && text('status') == 'unknown');
    return const {0, 408, 425, 429, 500, 502, 503, 504}.contains(status) && !isFinal;
  }
}

/// A client of one stack; the address of the local one is http://127.0.0.1:3000.
class Mailroom {
  Mailroom({
    required String url,
    required String key,
    this.tenant,
    this.patience = const Duration(seconds: 30),
    this.timeout = const Duration(seconds: 25),
    HttpClient? client,
    Future<void> Function(Duration)? sleep,
  })  : _address = Uri.parse('${url.replaceAll(RegExp(r'/+$'), '')}/v1/emails'),
        _key = key,
        _client = client ?? HttpClient(),
        _sleep = sleep ?? Future<void>.delayed {
    if (!_address.isScheme('https') && !_address.isScheme('http') || key.isEmpty) {
      throw const MailroomException('Set the url and the key of Mailroom.', 0);
    }
  }

  /// The tenant of mails that name none.
  final String? tenant;

  /// How long a mail is tried.
  final Duration patience;

  /// How long one request may take.
  final Duration timeout;

  final Uri _address;
  final String _key;
  final HttpClient _client;
  final Future<void> Function(Duration) _sleep;
  static final _random = Random.secure();

  /// Sends a mail of a kind; throws a [MailroomException] if it was not sent.
  ///
  /// [mode] is `inline`, the default, which completes when the mail is sent, or `queued`, which completes as soon as it
  /// is stored. [expiresIn] is the lifetime of the code or link.
  Future<Delivery> send(
    String kind,
    String to, {
    Map<String, Object?>? data,
    String? tenant,
    List<String>? locales,
    String? idempotencyKey,
    String? mode,
    Duration? expiresIn,
  }) async {
    final fields = {
      'kind': kind,
      'to': to,
      'data': data,
      'tenant': tenant ?? this.tenant,
      'locale': locales,
      'idempotency_key': idempotencyKey ?? _newKey(),
      'mode': mode,
      'expires_in': expiresIn == null ? null : max(1, expiresIn.inSeconds),
    }..removeWhere((_, value) => value == null);
    final content = utf8.encode(jsonEncode(fields));
    var left = patience;
    for (var pause = const Duration(milliseconds: 250);; pause *= 2) {
      final watch = Stopwatch()..start();
      final answer = await _post(content);
      var wait = pause * (0.75 + _random.nextDouble() / 2);
      final retryAfter = answer.retryAfter;
      if (retryAfter != null && retryAfter > wait) {
        wait = retryAfter;
      }
      left -= watch.elapsed + wait;
      if (!answer.isTemporary || left.isNegative) {
        return _deliveryOf(answer);
      }
      await _sleep(wait);
    }
  }

  /// Closes idle connections, which keep a program from ending for 15 seconds. A server has no need of it.
  void close() => _client.close();

  Future<_Answer> _post(List<int> content) async {
    try {
      return await _request(content).timeout(timeout);
    } on IOException {
      return const _Answer(0, {}, null);
    } on TimeoutException {
      return const _Answer(0, {}, null);
    }
  }

  Future<_Answer> _request(List<int> content) async {
    final request = await _client.postUrl(_address);
    request.followRedirects = false;
    request.headers.set(HttpHeaders.authorizationHeader, 'Bearer $_key');
    request.headers.contentType = ContentType.json;
    request.contentLength = content.length;
    request.add(content);
    final response = await request.close();
    final text = await const Utf8Decoder(allowMalformed: true).bind(response).join();
    final seconds = int.tryParse(response.headers.value(HttpHeaders.retryAfterHeader) ?? '');
    return _Answer(response.statusCode, _object(text), seconds == null ? null : Duration(seconds: seconds));
  }
}

String _newKey() => List.generate(32, (_) => Mailroom._random.nextInt(16).toRadixString(16)).join();

Map<String, Object?> _object(String text) {
  try {
    final value = jsonDecode(text);
    return value is Map<String, Object?> ? value : const {};
  } on FormatException {
    return const {};
  }
}

Delivery _deliveryOf(_Answer answer) {
  if (const {'accepted', 'sent', 'skipped'}.contains(answer.text('status'))) {
    return Delivery(
      answer.text('message_id'),
      answer.text('status'),
      answer.text('reason'),
      answer.text('provider'),
      answer.text('provider_id'),
    );
  }
  final errors = answer.body['errors'];
  final problems = <String, String>{
    if (errors is List)
      for (final error in errors)
        if (error is Map) '${error['field']}': '${error['message']}',
  };
  final summary =
      answer.status == 0 ? 'Mailroom cannot be reached.' : 'Mailroom has not sent the mail (HTTP ${answer.status}).';
  final details = problems.entries.map((problem) => '${problem.key}: ${problem.value}').join(' ');
  final reason = [answer.text('status'), answer.text('reason')].where((word) => word.isNotEmpty).join(', ');
  throw MailroomException('$summary ${details.isEmpty ? reason : details}'.trim(), answer.status, problems);
}
