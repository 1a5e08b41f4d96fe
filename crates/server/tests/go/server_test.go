// Package official drives the official client, unchanged, against the real server over TLS.
package official

import (
	"crypto/tls"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// limit is how long anything may take before a test fails.
const limit = 30 * time.Second

// certificate is the folder in which a server has made the certificate that all of them show.
var certificate string

const (
	certificateFile = "self-signed.crt"
	keyFile         = "self-signed.key"
)

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (int, error) {
	if os.Getenv("LEVEE_BINARY") == "" {
		return 1, fmt.Errorf("LEVEE_BINARY must name the server's program")
	}
	folder, err := os.MkdirTemp("", "levee-official-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(folder)
	certificate = folder
	if err := makeCertificate(folder); err != nil {
		return 1, err
	}
	// The client has no setting for whom it trusts. Go reads this once, at the first certificate.
	if err := os.Setenv("SSL_CERT_FILE", filepath.Join(folder, certificateFile)); err != nil {
		return 1, err
	}
	return m.Run(), nil
}

// makeCertificate lets a server make its certificate at its first start.
func makeCertificate(folder string) error {
	port, err := freePort()
	if err != nil {
		return err
	}
	child, err := spawn(folder, port)
	if err != nil {
		return err
	}
	defer child.Wait()
	defer child.Process.Kill()
	for since := time.Now(); time.Since(since) < limit; time.Sleep(10 * time.Millisecond) {
		// Both files are whole once it listens.
		if connection, err := net.DialTimeout("tcp", address(port), time.Second); err == nil {
			return connection.Close()
		}
	}
	return fmt.Errorf("the server does not start:\n%s", lastWords(folder))
}

func address(port int) string {
	return fmt.Sprintf("127.0.0.1:%d", port)
}

func freePort() (int, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, err
	}
	defer listener.Close()
	return listener.Addr().(*net.TCPAddr).Port, nil
}

// spawn starts the server with further settings; what it prints goes to a file in the folder.
func spawn(folder string, port int, settings ...string) (*exec.Cmd, error) {
	log, err := os.OpenFile(filepath.Join(folder, "log"), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	child := exec.Command(os.Getenv("LEVEE_BINARY"), "serve", "--tls-self-signed",
		"--listen", address(port), "--data-dir", folder)
	if trusted := filepath.Join(certificate, certificateFile); exists(trusted) {
		// Receivers of webhooks show the same certificate.
		child.Args = append(child.Args, "--webhook-ca", trusted, "--webhook-allow-private", "127.0.0.0/8")
	}
	child.Args = append(child.Args, settings...)
	child.Dir = folder
	child.Stdout, child.Stderr = log, log
	// If the client's own code panics, no test can end it.
	child.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// A developer's own settings stay out of this.
	for _, setting := range os.Environ() {
		if !strings.HasPrefix(setting, "LEVEE_") {
			child.Env = append(child.Env, setting)
		}
	}
	return child, child.Start()
}

func exists(file string) bool {
	_, err := os.Stat(file)
	return err == nil
}

func lastWords(folder string) string {
	log, _ := os.ReadFile(filepath.Join(folder, "log"))
	lines := strings.Split(strings.TrimSpace(string(log)), "\n")
	return strings.Join(lines[max(0, len(lines)-40):], "\n")
}

// server is a process with a data folder of its own; both end with the test.
type server struct {
	t      *testing.T
	folder string
	port   int
	child  *exec.Cmd
	// settings are flags beside those that all servers have.
	settings []string
}

func startServer(t *testing.T, settings ...string) *server {
	t.Helper()
	s := &server{t: t, folder: t.TempDir(), settings: settings}
	for _, name := range []string{certificateFile, keyFile} {
		content, err := os.ReadFile(filepath.Join(certificate, name))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(s.folder, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	s.port = port
	t.Cleanup(func() {
		s.kill()
		if t.Failed() {
			t.Logf("the server's last words:\n%s", lastWords(s.folder))
		}
	})
	s.start()
	return s
}

func (s *server) address() string {
	return address(s.port)
}

// start starts it, the first time or again, and waits until it is ready.
func (s *server) start() {
	s.t.Helper()
	child, err := spawn(s.folder, s.port, s.settings...)
	if err != nil {
		s.t.Fatal(err)
	}
	s.child = child
	client := http.Client{Timeout: time.Second}
	for since := time.Now(); time.Since(since) < limit; time.Sleep(10 * time.Millisecond) {
		response, err := client.Get("https://" + s.address() + "/readyz")
		if err != nil {
			continue
		}
		response.Body.Close()
		if response.StatusCode == http.StatusOK {
			return
		}
	}
	s.t.Fatal("the server does not start")
}

// kill ends it as `kill -9` does.
func (s *server) kill() {
	if s.child == nil {
		return
	}
	_ = s.child.Process.Kill()
	_ = s.child.Wait()
	if state := s.child.ProcessState; state.Exited() {
		s.t.Errorf("the server had ended by itself: %v", state)
	}
	s.child = nil
}

// pair is the certificate of all servers, with its key.
func pair(t *testing.T) tls.Certificate {
	t.Helper()
	made, err := tls.LoadX509KeyPair(
		filepath.Join(certificate, certificateFile), filepath.Join(certificate, keyFile))
	if err != nil {
		t.Fatal(err)
	}
	return made
}
