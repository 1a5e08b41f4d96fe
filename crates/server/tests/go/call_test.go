package official

import (
	"testing"

	ninchat "github.com/ninchat/ninchat-go"
)

// call is the one event that answers a call.
func call(t *testing.T, s *server, action string, how params) *ninchat.Event {
	t.Helper()
	caller := ninchat.Caller{Address: s.address()}
	how["action"] = action
	events, err := caller.Call(&ninchat.Action{Params: how})
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 1 || !events[0].LastReply {
		t.Fatalf("%d events answer %s", len(events), action)
	}
	return events[0]
}

func TestACallActsForWhoeverItsCredentialsName(t *testing.T) {
	s := startServer(t)
	ann := user(t, s.address(), "ann")
	where := channel(ann)
	for name, credentials := range map[string]func() params{
		"a password": func() params {
			return params{"caller_type": "email", "caller_name": "ann@example.org", "caller_auth": "secret-ann"}
		},
		"a token": func() params {
			return params{"caller_id": ann.userID(), "caller_auth": text(ann.created, "user_auth")}
		},
	} {
		found := call(t, s, "describe_user", credentials())
		if found.String() != "user_found" || text(found, "user_id") != ann.userID() {
			t.Errorf("with %s: %v", name, found.Params)
		}
		how := credentials()
		how["channel_id"] = where["channel_id"]
		described := call(t, s, "describe_channel", how)
		attrs, _ := described.Map("channel_attrs")
		if described.String() != "channel_found" || attrs["name"] != "Room" {
			t.Errorf("with %s: %v", name, described.Params)
		}
		how = credentials()
		how["channel_id"], how["message_type"] = where["channel_id"], "ninchat.com/text"
		how["payload"] = params{"text": "by " + name}
		sent := call(t, s, "send_message", how)
		heard := ann.hear(1)
		if sent.String() != "message_received" || heard[0] != "by "+name {
			t.Errorf("with %s: %v, %q", name, sent.Params, heard)
		}
	}
}

func TestACallWithWrongCredentialsIsDenied(t *testing.T) {
	s := startServer(t)
	ann := user(t, s.address(), "ann")
	for name, how := range map[string]params{
		"a wrong password": {"caller_type": "email", "caller_name": "ann@example.org", "caller_auth": "wrong"},
		"a wrong name":     {"caller_type": "email", "caller_name": "ben@example.org", "caller_auth": "secret-ann"},
		"a wrong token":    {"caller_id": ann.userID(), "caller_auth": "wrong"},
		"no token":         {"caller_id": ann.userID()},
	} {
		refused := call(t, s, "describe_user", how)
		if refused.String() != "error" || text(refused, "error_type") != "access_denied" {
			t.Errorf("with %s: %v", name, refused.Params)
		}
	}
}

func TestACallWithoutCredentialsMayPingAndNoMore(t *testing.T) {
	s := startServer(t)
	if pong := call(t, s, "ping", params{}); pong.String() != "pong" {
		t.Errorf("a ping was answered by %v", pong.Params)
	}
	refused := call(t, s, "describe_user", params{})
	if refused.String() != "error" || text(refused, "error_type") != "access_denied" {
		t.Errorf("it was answered by %v", refused.Params)
	}
	unknown := call(t, s, "fly", params{})
	if unknown.String() != "error" || text(unknown, "error_type") != "action_not_supported" {
		t.Errorf("it was answered by %v", unknown.Params)
	}
}
