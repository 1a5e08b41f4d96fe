package official

import (
	"slices"
	"testing"
	"time"

	ninchat "github.com/ninchat/ninchat-go"
)

func TestASessionIsCreatedWithItsParametersAndAnswersAPing(t *testing.T) {
	overEachTransport(t, func(t *testing.T, _ *server, address string) {
		ann := user(t, address, "ann")
		for _, name := range []string{"session_id", "user_id", "user_auth"} {
			if text(ann.created, name) == "" {
				t.Errorf("%s is missing: %v", name, ann.created.Params)
			}
		}
		for _, name := range []string{"user_account", "user_channels", "user_dialogues", "user_realms", "user_settings"} {
			if _, is := ann.created.Map(name); !is {
				t.Errorf("%s is no object: %v", name, ann.created.Params)
			}
		}
		attrs, _ := ann.created.Map("user_attrs")
		if attrs["name"] != "ann" || attrs["guest"] != nil {
			t.Errorf("the attributes are %v", attrs)
		}
		identities, _ := ann.created.Map("user_identities")
		if emails, _ := identities["email"].(params); emails["ann@example.org"] == nil {
			t.Errorf("the identities are %v", identities)
		}
		if number, _ := ann.created.Int("event_id"); number != 1 {
			t.Errorf("the first event has the id %d", number)
		}
		for range 3 {
			ann.ask("pong", "ping", params{})
		}
	})
}

func TestMessagesOfADialogueReachBothAndStayInOrder(t *testing.T) {
	overEachTransport(t, func(t *testing.T, _ *server, address string) {
		ann, ben := user(t, address, "ann"), user(t, address, "ben")
		said := []string{"Hello.", "Who is there?", "Ann, with an “é” and a 🙂"}
		var replied []string
		for _, what := range said {
			reply := ann.say(params{"user_id": ben.userID()}, what)
			heard := ben.next("message_received")
			if spoken(t, reply) != what || spoken(t, heard) != what {
				t.Errorf("%q became %q and %q", what, spoken(t, reply), spoken(t, heard))
			}
			if text(heard, "message_user_id") != ann.userID() || text(heard, "user_id") != ann.userID() {
				t.Errorf("it is not from Ann: %v", heard.Params)
			}
			if text(heard, "message_id") != text(reply, "message_id") {
				t.Errorf("two ids: %v, %v", reply.Params, heard.Params)
			}
			replied = append(replied, text(reply, "message_id"))
		}
		answer := ben.say(params{"user_id": ann.userID()}, "Ben.")
		said, replied = append(said, "Ben."), append(replied, text(answer, "message_id"))
		for _, one := range []struct{ reader, other *person }{{ann, ben}, {ben, ann}} {
			texts, ids := one.reader.history(params{"user_id": one.other.userID()})
			if !slices.Equal(texts, said) || !slices.Equal(ids, replied) {
				t.Errorf("the history is %q with %q, not %q with %q", texts, ids, said, replied)
			}
		}
	})
}

func TestAllMembersOfAChannelHearOneOrder(t *testing.T) {
	overEachTransport(t, func(t *testing.T, _ *server, address string) {
		ann, ben := user(t, address, "ann"), guest(t, address, "Ben")
		where := channel(ann, ben)
		var said []string
		for number := range 20 {
			speaker, what := ann, string(rune('a'+number))
			if number%3 == 0 {
				speaker = ben
			}
			speaker.say(where, what)
			said = append(said, what)
		}
		for _, one := range []*person{ann, ben} {
			if heard := one.hear(len(said)); !slices.Equal(heard, said) {
				t.Errorf("%q was heard, %q was said", heard, said)
			}
			if texts, _ := one.history(where); !slices.Equal(texts, said) {
				t.Errorf("the history is %q, %q was said", texts, said)
			}
		}
	})
}

func TestAClosedSessionCannotBeResumed(t *testing.T) {
	overEachTransport(t, func(t *testing.T, _ *server, address string) {
		ann, ben := user(t, address, "ann"), user(t, address, "ben")
		if !connected(ben, ann) {
			t.Error("Ann is not connected")
		}
		ann.close()
		select {
		case <-ann.closed:
		case <-time.After(limit):
			t.Fatal("the client does not end")
		}
		for since := time.Now(); connected(ben, ann); time.Sleep(20 * time.Millisecond) {
			if time.Since(since) > limit {
				t.Fatal("the session does not end")
			}
		}
		again := start(t, address, params{"session_id": text(ann.created, "session_id")})
		if refused := again.sessionEvent("error"); text(refused, "error_type") != "session_not_found" {
			t.Errorf("it was refused by %v", refused.Params)
		}
	})
}

func TestAWrongPasswordOpensNoSession(t *testing.T) {
	overEachTransport(t, func(t *testing.T, _ *server, address string) {
		user(t, address, "ann")
		login := func(password string) *person {
			return start(t, address, params{
				"identity_type": "email", "identity_name": "ann@example.org", "identity_auth": password})
		}
		if refused := login("wrong").sessionEvent("error"); text(refused, "error_type") != "access_denied" {
			t.Errorf("it was refused by %v", refused.Params)
		}
		login("secret-ann").sessionEvent("session_created")
	})
}

// channel makes a channel and brings people together in it.
func channel(owner *person, others ...*person) params {
	owner.t.Helper()
	made := owner.ask("channel_joined", "create_channel", params{"channel_attrs": params{"name": "Room"}})
	where := func() params { return params{"channel_id": text(made, "channel_id")} }
	for _, other := range others {
		other.ask("channel_joined", "join_channel", where())
	}
	return where()
}

// connected tells whether one sees the other as connected.
func connected(who, other *person) bool {
	who.t.Helper()
	found := who.ask("user_found", "describe_user", params{"user_id": other.userID()})
	attrs, _ := found.Map("user_attrs")
	return attrs["connected"] == true
}

// hear is what somebody hears next, leaving out what the server itself says. After a crash a message may
// come again; it has the id that it had before.
func (p *person) hear(count int) []string {
	p.t.Helper()
	var heard []string
	for _, event := range p.hearEvents(count) {
		heard = append(heard, spoken(p.t, event))
	}
	return heard
}

// hearEvents are the events by which somebody hears that.
func (p *person) hearEvents(count int) []*ninchat.Event {
	p.t.Helper()
	var heard []*ninchat.Event
	known := make(map[string]bool)
	for len(heard) < count {
		var event *ninchat.Event
		select {
		case event = <-p.events:
		case <-time.After(limit):
			var last []params
			for _, before := range heard[max(0, len(heard)-5):] {
				last = append(last, before.Params)
			}
			p.t.Fatalf("of %d messages %d came, the last of them %v", count, len(heard), last)
		}
		id := text(event, "channel_id") + text(event, "message_id")
		if text(event, "message_type") == "ninchat.com/text" && !known[id] {
			known[id], heard = true, append(heard, event)
		}
	}
	return heard
}
