package official

import (
	"crypto/tls"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
)

// proxy stands before a server, or a balancer, and lets no WebSocket through, as some networks do.
type proxy struct {
	refused, polls atomic.Int64
	listener       *httptest.Server
}

func startProxy(t *testing.T, address string) *proxy {
	t.Helper()
	p := &proxy{}
	behind := &url.URL{Scheme: "https", Host: address}
	forward := &httputil.ReverseProxy{
		Rewrite: func(request *httputil.ProxyRequest) {
			request.SetURL(behind)
			// The server names this proxy as the host to connect to.
			request.Out.Host = request.In.Host
		},
		// That the server is away is what some tests want.
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, _ error) {
			w.WriteHeader(http.StatusBadGateway)
		},
	}
	p.listener = httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/v2/socket":
			p.refused.Add(1)
			w.WriteHeader(http.StatusForbidden)
			return
		case "/v2/poll":
			p.polls.Add(1)
		}
		forward.ServeHTTP(w, r)
	}))
	// Connections that end with a test are no news.
	p.listener.Config.ErrorLog = log.New(io.Discard, "", 0)
	p.listener.TLS = &tls.Config{Certificates: []tls.Certificate{pair(t)}}
	p.listener.StartTLS()
	t.Cleanup(func() {
		// Polls that hang end with their connections.
		p.listener.CloseClientConnections()
		p.listener.Close()
	})
	return p
}

func (p *proxy) address() string {
	return strings.TrimPrefix(p.listener.URL, "https://")
}

// overEachTransport runs a test over WebSockets and over long polling, each against a server of its own.
func overEachTransport(t *testing.T, test func(t *testing.T, s *server, address string)) {
	t.Run("WebSocket", func(t *testing.T) {
		s := startServer(t)
		test(t, s, s.address())
	})
	t.Run("long polling", func(t *testing.T) {
		s := startServer(t)
		p := startProxy(t, s.address())
		test(t, s, p.address())
		p.wasUsed(t)
	})
}

// wasUsed fails the test if clients did not fall back to long polling.
func (p *proxy) wasUsed(t *testing.T) {
	t.Helper()
	if p.refused.Load() == 0 || p.polls.Load() == 0 {
		t.Errorf("%d WebSockets were refused, %d polls came", p.refused.Load(), p.polls.Load())
	}
}
