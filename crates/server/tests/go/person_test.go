package official

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	ninchat "github.com/ninchat/ninchat-go"
)

type params = map[string]any

// breath is how long a client is left alone before it is closed.
const breath = 50 * time.Millisecond

// person is a session of the official client, and what it has heard.
type person struct {
	t       *testing.T
	session *ninchat.Session
	// sessions has what came by OnSessionEvent, events what came by OnEvent.
	sessions, events chan *ninchat.Event
	closed           chan struct{}
	created          *ninchat.Event
	close            func()
	answers          answers
}

// answers are the events that answer actions, by action_id. They are taken from OnEvent: over long polling
// the client passes over an action's OnReply if the reply comes before the response to the action's request.
type answers struct {
	mutex   sync.Mutex
	heard   map[int64][]*ninchat.Event
	changed chan struct{}
}

func (a *answers) add(event *ninchat.Event) {
	number, is := event.Int64("action_id")
	if !is {
		return
	}
	a.mutex.Lock()
	defer a.mutex.Unlock()
	a.heard[number] = append(a.heard[number], event)
	close(a.changed)
	a.changed = make(chan struct{})
}

// of is what has come, and what closes when there is more.
func (a *answers) of(number int64) ([]*ninchat.Event, chan struct{}) {
	a.mutex.Lock()
	defer a.mutex.Unlock()
	return slices.Clone(a.heard[number]), a.changed
}

// guest opens a session of a new guest.
func guest(t *testing.T, address, name string) *person {
	t.Helper()
	return open(t, address, params{"user_attrs": params{"name": name}})
}

// user opens a session of a new user with the identity name@example.org and the password secret-name.
func user(t *testing.T, address, name string) *person {
	t.Helper()
	return open(t, address, params{
		"identity_type_new": "email",
		"identity_name_new": name + "@example.org",
		"identity_auth_new": "secret-" + name,
		"user_attrs":        params{"guest": false, "name": name},
	})
}

// open opens a session that must be created.
func open(t *testing.T, address string, how params) *person {
	t.Helper()
	p := start(t, address, how)
	p.created = p.sessionEvent("session_created")
	return p
}

// start starts a client and leaves it to the test what comes of it.
func start(t *testing.T, address string, how params) *person {
	t.Helper()
	p := &person{
		t:        t,
		sessions: make(chan *ninchat.Event, 16),
		events:   make(chan *ninchat.Event, 4096),
		closed:   make(chan struct{}),
		answers:  answers{heard: make(map[int64][]*ninchat.Event), changed: make(chan struct{})},
	}
	// The client changes its parameters as it goes on.
	who, said := fmt.Sprint(how["user_attrs"]), &notes{}
	p.session = &ninchat.Session{
		Address:        address,
		OnSessionEvent: func(event *ninchat.Event) { put(t, p.sessions, event) },
		OnEvent: func(event *ninchat.Event) {
			p.answers.add(event)
			put(t, p.events, event)
		},
		OnClose:     func() { close(p.closed) },
		OnConnState: func(state string) { said.add("state", state) },
		OnLog:       said.add,
	}
	if how["message_types"] == nil {
		how["message_types"] = []string{"*"}
	}
	p.session.SetParams(how)
	p.session.Open()
	p.close = sync.OnceFunc(func() {
		// The client panics if it is closed while it is about to send an acknowledgement.
		time.Sleep(breath)
		p.session.Close()
	})
	t.Cleanup(func() {
		p.close()
		if t.Failed() {
			t.Logf("the client of %s said:\n%s", who, said)
		}
	})
	return p
}

// notes are the client's log; it may write on after the test.
type notes struct {
	mutex sync.Mutex
	lines []string
}

func (n *notes) add(fragments ...any) {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	n.lines = append(n.lines, time.Now().Format("05.000 ")+strings.TrimSpace(fmt.Sprintln(fragments...)))
}

func (n *notes) String() string {
	n.mutex.Lock()
	defer n.mutex.Unlock()
	return strings.Join(n.lines, "\n")
}

func put(t *testing.T, into chan *ninchat.Event, event *ninchat.Event) {
	select {
	case into <- event:
	default:
		t.Errorf("nobody takes in events: %v", event.Params)
	}
}

func (p *person) userID() string {
	return text(p.created, "user_id")
}

// sessionEvent is the next event of the session itself, which must have this name.
func (p *person) sessionEvent(name string) *ninchat.Event {
	p.t.Helper()
	select {
	case event := <-p.sessions:
		if event.String() != name {
			p.t.Fatalf("%s was expected: %v", name, event.Params)
		}
		return event
	case <-time.After(limit):
		p.t.Fatalf("no %s came", name)
	}
	return nil
}

// next is the next event of this name; others before it are passed over.
func (p *person) next(name string) *ninchat.Event {
	p.t.Helper()
	for end := time.After(limit); ; {
		select {
		case event := <-p.events:
			if event.String() == name {
				return event
			}
		case <-end:
			p.t.Fatalf("no %s came", name)
		}
	}
}

// send sends an action and returns its id.
func (p *person) send(action string, how params, payload ...ninchat.Frame) int64 {
	p.t.Helper()
	how["action"] = action
	sent := &ninchat.Action{Params: how, Payload: payload}
	if err := p.session.Send(sent); err != nil {
		p.t.Fatal(err)
	}
	number, err := sent.GetID()
	if err != nil {
		p.t.Fatal(err)
	}
	return number
}

// replies sends an action and returns all events that answer it.
func (p *person) replies(action string, how params, payload ...ninchat.Frame) []*ninchat.Event {
	p.t.Helper()
	number := p.send(action, how, payload...)
	for end := time.After(limit); ; {
		all, more := p.answers.of(number)
		if len(all) > 0 {
			// A history says how much of it is still to come.
			if rest, _ := all[len(all)-1].Int("history_length"); rest == 0 {
				return all
			}
		}
		select {
		case <-more:
		case <-end:
			p.t.Fatalf("%s has no answer after %d events", action, len(all))
		}
	}
}

// ask sends an action whose one answer must have this name.
func (p *person) ask(answer, action string, how params, payload ...ninchat.Frame) *ninchat.Event {
	p.t.Helper()
	events := p.replies(action, how, payload...)
	if len(events) != 1 || events[0].String() != answer {
		p.t.Fatalf("%s was not answered with one %s: %v", action, answer, events[0].Params)
	}
	return events[0]
}

// say sends a text to a channel or a user.
func (p *person) say(where params, what string) *ninchat.Event {
	p.t.Helper()
	how := params{"message_type": "ninchat.com/text"}
	for name, value := range where {
		how[name] = value
	}
	return p.ask("message_received", "send_message", how, frame(p.t, what))
}

// history is the texts of a conversation, older ones first, and their messages' ids.
func (p *person) history(where params) (texts, ids []string) {
	p.t.Helper()
	how := params{"history_length": 1000, "history_order": 1}
	for name, value := range where {
		how[name] = value
	}
	events := p.replies("load_history", how)
	if events[0].String() != "history_results" {
		p.t.Fatalf("there is no history: %v", events[0].Params)
	}
	available, _ := events[0].Int("history_length")
	if available != len(events)-1 {
		p.t.Errorf("%d messages were announced, %d came", available, len(events)-1)
	}
	for number, event := range events[1:] {
		remaining, _ := event.Int("history_length")
		if event.String() != "message_received" || remaining != available-number-1 {
			p.t.Errorf("message %d of %d is wrong: %v", number+1, available, event.Params)
		}
		if text(event, "message_type") == "ninchat.com/text" {
			texts, ids = append(texts, spoken(p.t, event)), append(ids, text(event, "message_id"))
		}
	}
	return texts, ids
}

func frame(t *testing.T, what string) ninchat.Frame {
	t.Helper()
	data, err := json.Marshal(params{"text": what})
	if err != nil {
		t.Fatal(err)
	}
	return data
}

// spoken is the text of a message.
func spoken(t *testing.T, event *ninchat.Event) string {
	t.Helper()
	var content struct {
		Text string `json:"text"`
	}
	if len(event.Payload) != 1 {
		t.Fatalf("%d parts instead of one: %v", len(event.Payload), event.Params)
	}
	if err := json.Unmarshal(event.Payload[0], &content); err != nil {
		t.Fatalf("%v in %s", err, event.Payload[0])
	}
	return content.Text
}

// text is a parameter that is a string; empty where there is none.
func text(event *ninchat.Event, name string) string {
	value, _ := event.Str(name)
	return value
}
