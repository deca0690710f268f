// Sends one mail to each address of the command line; prints a report of each, with the seconds it would have slept.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"example.com/mailroom"
)

type report struct {
	Status int       `json:"status"`
	Text   string    `json:"text"`
	Slept  []float64 `json:"slept"`
}

func main() {
	for _, url := range os.Args[1:] {
		result := report{Status: 200, Slept: []float64{}}
		client, err := mailroom.New(url, "key")
		if err != nil {
			panic(err)
		}
		client.Sleep = func(_ context.Context, wait time.Duration) error {
			result.Slept = append(result.Slept, wait.Seconds())
			return nil
		}
		mail := mailroom.Mail{Kind: "sign-in-code", To: "reader@example.com", Data: map[string]any{"code": "048213"}}
		delivery, err := client.Send(context.Background(), mail)
		var failure *mailroom.Error
		if errors.As(err, &failure) {
			result.Status, result.Text = failure.Status, failure.Error()
		} else if err != nil {
			panic(err)
		} else {
			result.Text = delivery.Status
		}
		if err := json.NewEncoder(os.Stdout).Encode(result); err != nil {
			panic(err)
		}
	}
}
