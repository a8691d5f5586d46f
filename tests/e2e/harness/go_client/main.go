// Gets a URL some times, one call after the other; for each prints its status, and whether the connection was a new one.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptrace"
	"os"
	"strconv"
)

func get(url string) (string, error) {
	connection := "new"
	trace := &httptrace.ClientTrace{GotConn: func(got httptrace.GotConnInfo) {
		if got.Reused {
			connection = "kept"
		}
	}}
	request, err := http.NewRequest("GET", url, nil)
	if err != nil {
		return "", err
	}
	response, err := http.DefaultClient.Do(request.WithContext(httptrace.WithClientTrace(request.Context(), trace)))
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	return fmt.Sprint(response.StatusCode, " ", connection), err
}

func main() {
	calls, err := strconv.Atoi(os.Args[2])
	for call := 0; call < calls && err == nil; call++ {
		var line string
		if line, err = get(os.Args[1]); err == nil {
			fmt.Println(line)
		}
	}
	if err != nil {
		log.Fatal(err)
	}
}
