package official

import (
	"fmt"
	"slices"
	"sync/atomic"
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
	overEachTransport(t, func(t *testing.T, s *server, address string) {
		ann, ben := user(t, address, "ann"), user(t, address, "ben")
		where := channel(ann, ben)
		var replies atomic.Int64
		killed := make(chan struct{})
		var said []string
		var numbers []int64
		for number := range messages {
			what := fmt.Sprintf("message %d", number)
			sent := &ninchat.Action{
				Params: params{"action": "send_message", "message_type": "ninchat.com/text",
					"channel_id": where["channel_id"]},
				Payload: []ninchat.Frame{frame(t, what)},
				OnReply: func(event *ninchat.Event) {
					// Without an event, the test has failed and closed the session.
					if event != nil && replies.Add(1) == killAt {
						// The client waits for this callback: it can't have seen more.
						s.kill()
						close(killed)
					}
				},
			}
			if err := ann.session.Send(sent); err != nil {
				t.Fatal(err)
			}
			id, err := sent.GetID()
			if err != nil {
				t.Fatal(err)
			}
			said, numbers = append(said, what), append(numbers, id)
		}
		wait(t, killed, "killing")
		time.Sleep(away)
		s.start()

		var replied []string
		for number, id := range numbers {
			for _, reply := range ann.answered(id) {
				if reply.String() != "message_received" || spoken(t, reply) != said[number] {
					t.Fatalf("%q is answered by %v", said[number], reply.Params)
				}
				if len(replied) == number {
					replied = append(replied, text(reply, "message_id"))
				} else if text(reply, "message_id") != replied[number] {
					t.Errorf("%q was stored as %s, then as %v", said[number], replied[number], reply.Params)
				}
			}
		}
		if heard := ben.hear(messages); !slices.Equal(heard, said) {
			t.Errorf("the other member %s", differs(heard, said))
		}
		for _, reader := range []*person{ann, ben} {
			texts, ids := reader.history(where)
			if !slices.Equal(texts, said) {
				t.Errorf("the history %s", differs(texts, said))
			}
			if !slices.Equal(ids, replied) {
				t.Errorf("of the acknowledged ids, the history %s", differs(ids, replied))
			}
			if len(reader.sessions) != 0 {
				t.Errorf("the session was lost: %v", (<-reader.sessions).Params)
			}
		}
	})
}

// answered waits for what answers an action; a reply may come again after a crash.
func (p *person) answered(number int64) []*ninchat.Event {
	p.t.Helper()
	for end := time.After(limit); ; {
		all, more := p.answers.of(number)
		if len(all) > 0 {
			return all
		}
		select {
		case <-more:
		case <-end:
			p.t.Fatalf("action %d is never answered", number)
		}
	}
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
