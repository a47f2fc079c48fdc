// Publishes the records on standard input, one JSON object a line, with IEM_URL, IEM_USER and
// IEM_PASSWORD in the environment: go run . <records.ndjson
package main

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"strconv"
	"time"

	"golang.org/x/oauth2"
	"golang.org/x/oauth2/clientcredentials"
)

const attempts = 8

func main() {
	log.SetFlags(0)
	records, err := io.ReadAll(os.Stdin)
	if err != nil {
		log.Fatal(err)
	}
	credentials := clientcredentials.Config{
		ClientID:     os.Getenv("IEM_USER"),
		ClientSecret: os.Getenv("IEM_PASSWORD"),
		TokenURL:     os.Getenv("IEM_URL") + "/oauth2/token",
		AuthStyle:    oauth2.AuthStyleInHeader,
	}
	ctx := context.WithValue(context.Background(), oauth2.HTTPClient, &http.Client{Timeout: 20 * time.Second})
	// A minute early, so that no token expires on the way.
	tokens := oauth2.ReuseTokenSourceWithExpiry(nil, credentials.TokenSource(ctx), time.Minute)
	client := oauth2.NewClient(ctx, tokens)
	client.Timeout = 20 * time.Second
	if err := publish(client, os.Getenv("IEM_URL")+"/publish/allevents/", records); err != nil {
		log.Fatalf("not published: %v", err)
	}
}

// publish sends records until the gateway has confirmed or refused them.
func publish(client *http.Client, url string, records []byte) error {
	key := rand.Text()
	for attempt := 1; ; attempt++ {
		status, answer, wait := post(client, url, key, records)
		if status == http.StatusOK {
			return nil
		}
		mayPass := status == 0 || status == http.StatusTooManyRequests || status >= 500
		if !mayPass || attempt == attempts {
			return fmt.Errorf("%d %s", status, answer)
		}
		time.Sleep(max(wait, min(time.Second<<(attempt-1), time.Minute)))
	}
}

// post returns status, body and the time to wait. The status 0 stands for no answer.
func post(client *http.Client, url, key string, records []byte) (int, string, time.Duration) {
	request, err := http.NewRequest(http.MethodPost, url, bytes.NewReader(records))
	if err != nil {
		return http.StatusBadRequest, err.Error(), 0
	}
	request.Header.Set("Content-Type", "application/x-ndjson")
	// The same for every attempt.
	request.Header.Set("Idempotency-Key", key)
	response, err := client.Do(request)
	var refused *oauth2.RetrieveError
	if errors.As(err, &refused) {
		return refused.Response.StatusCode, string(refused.Body), 0
	}
	if err != nil {
		return 0, err.Error(), 0
	}
	defer response.Body.Close()
	answer, _ := io.ReadAll(response.Body)
	seconds, _ := strconv.Atoi(response.Header.Get("Retry-After"))
	return response.StatusCode, string(answer), time.Duration(seconds) * time.Second
}
