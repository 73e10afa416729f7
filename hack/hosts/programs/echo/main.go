// SPDX-License-Identifier: Apache-2.0

// Echo is a pod to look at: a web server that says its host name, and what one wants to run with `kubectl exec` where there is no shell.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"time"
)

const timeout = 5 * time.Second

func main() {
	command, rest := "serve", os.Args[1:]
	if len(rest) > 0 {
		command, rest = rest[0], rest[1:]
	}
	if err := run(command, rest); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(command string, args []string) error {
	switch command {
	case "serve":
		return serve(first(args, ":8080"))
	case "env":
		fmt.Println(strings.Join(os.Environ(), "\n"))
		return nil
	case "get":
		return get(first(args, "http://127.0.0.1:8080/"))
	case "lookup":
		return lookup(args)
	default:
		return fmt.Errorf("%q is not one of: serve [ADDRESS], env, get [URL], lookup NAME [SERVER]", command)
	}
}

func first(args []string, fallback string) string {
	if len(args) > 0 {
		return args[0]
	}
	return fallback
}

// Serve answers every request with the host name and logs one line for it.
func serve(address string) error {
	name, err := os.Hostname()
	if err != nil {
		return err
	}
	fmt.Println("serving on", address)
	return http.ListenAndServe(address, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Println(r.Method, r.URL.Path)
		fmt.Fprintln(w, name)
	}))
}

func get(url string) error {
	client := http.Client{Timeout: timeout}
	response, err := client.Get(url)
	if err != nil {
		return err
	}
	defer response.Body.Close()
	_, err = io.Copy(os.Stdout, response.Body)
	return err
}

// Lookup prints the addresses of a name, asked of the pod's own name server or of the one that is given.
func lookup(args []string) error {
	if len(args) == 0 {
		return fmt.Errorf("lookup what?")
	}
	resolver := &net.Resolver{PreferGo: true}
	if len(args) > 1 {
		resolver.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
			var dialer net.Dialer
			return dialer.DialContext(ctx, network, net.JoinHostPort(args[1], "53"))
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	addresses, err := resolver.LookupHost(ctx, args[0])
	if err != nil {
		return err
	}
	fmt.Println(strings.Join(addresses, "\n"))
	return nil
}
