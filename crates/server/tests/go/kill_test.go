package official

import (
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	ninchat "github.com/ninchat/ninchat-go"
)

const (
	messages = 200
	// killAt is the reply in whose callback the server is killed.
	killAt = 60
	// away is how long nobody listens.
	away = 300 * time.Millisecond
)

func TestAKillInTheMiddleOfManyMessagesLosesAndRepeatsNone(t *testing.T) {
	overEachTransport(t, func(t *testing.T, s *server, way route) {
		ann, ben := user(t, way.address, "ann"), user(t, way.address, "ben")
		where := channel(ann, ben)
		var mutex sync.Mutex
		ids := make(map[int]string)
		var replies, unanswered int
		killed, all := make(chan struct{}), make(chan struct{})
		var said []string
		for number := range messages {
			what := fmt.Sprintf("message %d", number)
			said = append(said, what)
			how := params{"action": "send_message", "message_type": "ninchat.com/text"}
			how["channel_id"] = where["channel_id"]
			err := ann.session.Send(&ninchat.Action{
				Params:  how,
				Payload: []ninchat.Frame{frame(t, what)},
				OnReply: func(event *ninchat.Event) {
					mutex.Lock()
					defer mutex.Unlock()
					if event == nil {
						return
					}
					if event.String() != "message_received" || ids[number] != "" {
						t.Errorf("%q is answered by %v", what, event.Params)
						return
					}
					ids[number] = text(event, "message_id")
					replies++
					switch replies {
					case killAt:
						// The client waits for this callback: it can't have seen more.
						s.kill()
						unanswered = messages - replies
						close(killed)
					case messages:
						close(all)
					}
				},
			})
			if err != nil {
				t.Fatal(err)
			}
		}
		wait(t, killed, "killing")
		time.Sleep(away)
		s.start()
		wait(t, all, "all replies")
		t.Logf("%d of %d were not answered yet when the server was killed", unanswered, messages)

		if heard := ben.hear(messages); !slices.Equal(heard, said) {
			t.Errorf("the other member %s", differs(heard, said))
		}
		for _, reader := range []*person{ann, ben} {
			texts, kept := reader.history(where)
			if !slices.Equal(texts, said) {
				t.Errorf("the history %s", differs(texts, said))
			}
			for number := range said {
				if number < len(kept) && kept[number] != ids[number] {
					t.Errorf("message %d was acknowledged as %s, and is %s", number, ids[number], kept[number])
				}
			}
			if len(reader.sessions) != 0 {
				t.Errorf("the session was lost: %v", (<-reader.sessions).Params)
			}
		}
		way.check(t)
	})
}

func wait(t *testing.T, until chan struct{}, what string) {
	t.Helper()
	select {
	case <-until:
	case <-time.After(limit):
		t.Fatalf("%s takes too long", what)
	}
}

// differs says where what came is not what was said.
func differs(came, said []string) string {
	for number := range max(len(came), len(said)) {
		if number >= len(came) || number >= len(said) || came[number] != said[number] {
			return fmt.Sprintf("has %d texts, not %d, and from number %d on %q",
				len(came), len(said), number, came[min(number, len(came)):min(number+10, len(came))])
		}
	}
	return "is right"
}
