// Package mailroom sends mail through Mailroom. Copy this file into your project: it needs nothing but Go 1.19.
//
//	client, err := mailroom.New(os.Getenv("MAILROOM_URL"), os.Getenv("MAILROOM_API_KEY"))
//	delivery, err := client.Send(ctx, mailroom.Mail{
//		Kind: "sign-in-code", To: "reader@example.com", Data: map[string]any{"code": "048213"},
//	})
//
// A request that fails on the way, is throttled, or finds Mailroom unavailable is repeated with the same idempotency
// key: it becomes one mail.
package mailroom

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"math/big"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// Mail is one message to one recipient.
type Mail struct {
	Kind string         `json:"kind"` // such as sign-in-code, or a kind of the tenant's own templates
	To   string         `json:"to"`
	Data map[string]any `json:"data,omitempty"`
	// Tenant determines sender, brand and provider; by default, the client's.
	Tenant string `json:"tenant,omitempty"`
	// Locale has the recipient's languages, the preferred one first.
	Locale []string `json:"locale,omitempty"`
	// IdempotencyKey makes requests one mail for 24 hours; by default, each call of Send is one.
	IdempotencyKey string `json:"idempotency_key"`
	// Mode is inline, the default, which returns when the mail is sent, or queued, as soon as it is stored.
	Mode string `json:"mode,omitempty"`
	// ExpiresIn is the lifetime of the code or link in seconds.
	ExpiresIn int `json:"expires_in,omitempty"`
}

// Delivery is the status of a mail: sent; accepted, which will be sent; or skipped, for the given reason.
type Delivery struct {
	MessageID  string `json:"message_id"`
	Status     string `json:"status"`
	Reason     string `json:"reason"`
	Provider   string `json:"provider"`
	ProviderID string `json:"provider_id"`
}

// Problem is a sentence about an invalid field.
type Problem struct {
	Field   string `json:"field"`
	Message string `json:"message"`
}

// Error reports that a mail was not sent. With Status 0, Mailroom could not be reached.
type Error struct {
	Status   int
	Problems []Problem
	message  string
}

func (e *Error) Error() string { return e.message }

// Client sends through one stack; change its fields before the first Send.
type Client struct {
	Tenant   string
	Patience time.Duration // how long a mail is tried
	HTTP     *http.Client
	Sleep    func(context.Context, time.Duration) error
	url, key string
}

// New returns a client for the address of a stack; that of the local one is http://127.0.0.1:3000.
func New(url, key string) (*Client, error) {
	if !(strings.HasPrefix(url, "https://") || strings.HasPrefix(url, "http://")) || key == "" {
		return nil, &Error{message: "Set the url and the key of Mailroom."}
	}
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &Client{
		Patience: 30 * time.Second,
		HTTP:     &http.Client{Timeout: 25 * time.Second, CheckRedirect: refuse},
		Sleep:    sleep,
		url:      strings.TrimRight(url, "/") + "/v1/emails",
		key:      key,
	}, nil
}

type answer struct {
	Delivery
	Errors     []Problem `json:"errors"`
	status     int
	retryAfter time.Duration
}

// Send sends a mail; the error is an *Error if it was not sent, or that of the context.
func (c *Client) Send(ctx context.Context, mail Mail) (Delivery, error) {
	if mail.Tenant == "" {
		mail.Tenant = c.Tenant
	}
	if mail.IdempotencyKey == "" {
		mail.IdempotencyKey = newKey()
	}
	body, err := json.Marshal(mail)
	if err != nil {
		return Delivery{}, err
	}
	left := c.Patience
	for pause := 250 * time.Millisecond; ; pause *= 2 {
		started := time.Now()
		answer := c.post(ctx, body)
		if ctx.Err() != nil {
			return Delivery{}, ctx.Err()
		}
		wait := pause*3/4 + time.Duration(random(int64(pause/2)))
		if answer.retryAfter > wait {
			wait = answer.retryAfter
		}
		left -= time.Since(started) + wait
		if !answer.isTemporary() || left < 0 {
			return answer.result()
		}
		if err := c.Sleep(ctx, wait); err != nil {
			return Delivery{}, err
		}
	}
}

func (c *Client) post(ctx context.Context, body []byte) (result answer) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(body))
	if err != nil {
		return result
	}
	request.Header.Set("Authorization", "Bearer "+c.key)
	request.Header.Set("Content-Type", "application/json")
	response, err := c.HTTP.Do(request)
	if err != nil {
		return result
	}
	defer response.Body.Close()
	content, err := io.ReadAll(io.LimitReader(response.Body, 1<<20))
	if err != nil {
		return result
	}
	_ = json.Unmarshal(content, &result) // a gateway's answer may be no JSON
	result.status = response.StatusCode
	if seconds, err := strconv.Atoi(response.Header.Get("Retry-After")); err == nil {
		result.retryAfter = time.Duration(seconds) * time.Second
	}
	return result
}

// isTemporary returns whether the request is worth repeating. One that no provider accepted, or one may have, is not.
func (a answer) isTemporary() bool {
	switch a.status {
	case 409:
		return a.retryAfter > 0 // the same mail is being sent at this moment
	case 502:
		return a.Status != "failed"
	case 504:
		return a.Status != "unknown"
	case 0, 408, 425, 429, 500, 503:
		return true
	}
	return false
}

func (a answer) result() (Delivery, error) {
	switch a.Status {
	case "accepted", "sent", "skipped":
		return a.Delivery, nil
	}
	message := "Mailroom cannot be reached."
	if a.status != 0 {
		message = fmt.Sprintf("Mailroom has not sent the mail (HTTP %d).", a.status)
	}
	for _, problem := range a.Errors {
		message += " " + problem.Field + ": " + problem.Message
	}
	if len(a.Errors) == 0 {
		message = strings.TrimRight(message+" "+strings.Trim(a.Status+", "+a.Reason, ", "), " ")
	}
	return Delivery{}, &Error{a.status, a.Errors, message}
}

func sleep(ctx context.Context, wait time.Duration) error {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

func newKey() string {
	key := make([]byte, 16)
	if _, err := rand.Read(key); err != nil {
		panic(err) // the system has no random numbers
	}
	return hex.EncodeToString(key)
}

func random(limit int64) int64 {
	number, err := rand.Int(rand.Reader, big.NewInt(limit))
	if err != nil {
		return 0
	}
	return number.Int64()
}
