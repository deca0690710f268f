<?php

/**
 * Sends mail through Mailroom. Copy this file into your project: it needs nothing but PHP 8.1.
 *
 *     $mailroom = new Mailroom(getenv('MAILROOM_URL'), getenv('MAILROOM_API_KEY'));
 *     $mailroom->send('sign-in-code', 'reader@example.com', ['code' => '048213'], ['locale' => ['de']]);
 *
 * A request that fails on the way, is throttled, or finds Mailroom unavailable is repeated with the same idempotency
 * key: it becomes one mail.
 */

declare(strict_types=1);

/** The mail was not sent. With code 0, Mailroom could not be reached; `problems` are sentences by field. */
final class MailroomException extends RuntimeException
{
    /** @param array<string, string> $problems */
    public function __construct(string $message, int $status, public readonly array $problems = [])
    {
        parent::__construct($message, $status);
    }
}

final class Mailroom
{
    private const FIRST_PAUSE_SECONDS = 0.25;
    private const TEMPORARY = [0, 408, 425, 429, 500, 502, 503, 504];

    private string $url;

    /** @var callable(float): void */
    private $sleep;

    /**
     * @param string $url      the address of your stack; that of the local one is http://127.0.0.1:3000
     * @param float  $patience seconds for which a mail is tried
     * @param float  $timeout  seconds of one request
     */
    public function __construct(
        string $url,
        private string $key,
        private ?string $tenant = null,
        private float $patience = 30.0,
        private float $timeout = 25.0,
        ?callable $sleep = null,
    ) {
        if (!preg_match('#^https?://#', $url) || $key === '') {
            throw new MailroomException('Set the url and the key of Mailroom.', 0);
        }
        $this->url = rtrim($url, '/') . '/v1/emails';
        $this->sleep = $sleep ?? static fn (float $seconds) => usleep((int) ($seconds * 1e6));
    }

    /**
     * Send a mail of a kind; throw a MailroomException if it was not sent.
     *
     * @param array<string, mixed> $data    the content: code, link, title, paragraphs …
     * @param array<string, mixed> $options tenant, locale, idempotency_key, mode, expires_in
     *
     * @return array<string, string> message_id, status (sent, accepted, skipped), reason, provider, provider_id
     */
    public function send(string $kind, string $to, array $data = [], array $options = []): array
    {
        $fields = ['kind' => $kind, 'to' => $to] + $options
            + ['tenant' => $this->tenant, 'idempotency_key' => bin2hex(random_bytes(16))];
        $fields['data'] = $data === [] ? null : $data;
        $fields = array_filter($fields, static fn (mixed $value) => $value !== null);
        $body = json_encode($fields, JSON_THROW_ON_ERROR | JSON_UNESCAPED_UNICODE);
        $left = $this->patience;
        for ($pause = self::FIRST_PAUSE_SECONDS;; $pause *= 2) {
            $started = microtime(true);
            [$status, $answer, $retryAfter] = $this->post($body);
            $wait = max($retryAfter ?? 0.0, $pause * random_int(75, 125) / 100);
            $left -= microtime(true) - $started + $wait;
            if (!self::isTemporary($status, $answer, $retryAfter) || $left < 0) {
                return self::result($status, $answer);
            }
            ($this->sleep)($wait);
        }
    }

    /** @return array{int, array<string, mixed>, ?float} HTTP status, body and Retry-After; status 0 without an answer */
    private function post(string $body): array
    {
        $context = stream_context_create(['http' => [
            'method' => 'POST',
            'header' => ["Authorization: Bearer {$this->key}", 'Content-Type: application/json', 'Connection: close'],
            'content' => $body,
            'timeout' => $this->timeout,
            'follow_location' => 0,
            'ignore_errors' => true,
            'protocol_version' => 1.1,
        ]]);
        $content = @file_get_contents($this->url, false, $context);
        $headers = $http_response_header ?? [];
        if ($content === false || !preg_match('#^HTTP/\S+ (\d{3})#', $headers[0] ?? '', $match)) {
            return [0, [], null];
        }
        $retryAfter = null;
        foreach ($headers as $header) {
            if (preg_match('/^retry-after:\s*(\d+)\s*$/i', $header, $value)) {
                $retryAfter = (float) $value[1];
            }
        }
        $answer = json_decode($content, true);
        return [(int) $match[1], is_array($answer) ? $answer : [], $retryAfter];
    }

    /**
     * Return whether a request is worth repeating. One that no provider accepted, or one may have, is not.
     *
     * @param array<string, mixed> $answer
     */
    private static function isTemporary(int $status, array $answer, ?float $retryAfter): bool
    {
        if ($status === 409) {
            return $retryAfter !== null; // the same mail is being sent at this moment
        }
        $outcome = $answer['status'] ?? '';
        $isFinal = ($status === 502 && $outcome === 'failed') || ($status === 504 && $outcome === 'unknown');
        return in_array($status, self::TEMPORARY, true) && !$isFinal;
    }

    /**
     * @param array<string, mixed> $answer
     *
     * @return array<string, string>
     */
    private static function result(int $status, array $answer): array
    {
        if (in_array($answer['status'] ?? '', ['accepted', 'sent', 'skipped'], true)) {
            return array_map('strval', $answer);
        }
        $problems = [];
        foreach (is_array($answer['errors'] ?? null) ? $answer['errors'] : [] as $error) {
            $problems[(string) ($error['field'] ?? '')] = (string) ($error['message'] ?? '');
        }
        $message = $status === 0 ? 'Mailroom cannot be reached.' : "Mailroom has not sent the mail (HTTP $status).";
        foreach ($problems as $field => $sentence) {
            $message .= " $field: $sentence";
        }
        if ($problems === []) {
            $reason = array_filter([$answer['status'] ?? '', $answer['reason'] ?? '']);
            $message = rtrim($message . ' ' . implode(', ', $reason));
        }
        throw new MailroomException($message, $status, $problems);
    }
}
