package official

import (
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/ninchat/ninchat-go/webhook"
)

// processor is a receiver of webhooks, built from the official package as its example is.
type processor struct {
	t         *testing.T
	server    *httptest.Server
	authority string
	documents chan webhook.Webhook
}

func startProcessor(t *testing.T, s *server) *processor {
	t.Helper()
	p := &processor{t: t, authority: "https://" + s.address(), documents: make(chan webhook.Webhook, 64)}
	p.server = httptest.NewUnstartedServer(http.HandlerFunc(p.handle))
	p.server.TLS = &tls.Config{Certificates: []tls.Certificate{pair(t)}, MinVersion: tls.VersionTLS12}
	p.server.StartTLS()
	t.Cleanup(p.server.Close)
	return p
}

// key is a public key, as the server shows it.
func (p *processor) key(kid string) ed25519.PublicKey {
	response, err := http.Get(p.authority + "/config/keys.json")
	if err != nil {
		p.t.Error(err)
		return nil
	}
	defer response.Body.Close()
	var set struct {
		Keys []struct{ Kty, Crv, Kid, X string }
	}
	if err := json.NewDecoder(response.Body).Decode(&set); err != nil {
		p.t.Error(err)
	}
	for _, key := range set.Keys {
		if key.Kid == kid && key.Kty == "OKP" && key.Crv == "Ed25519" {
			public, err := base64.RawURLEncoding.DecodeString(key.X)
			if err != nil {
				p.t.Error(err)
			}
			return public
		}
	}
	return nil
}

func (p *processor) handle(w http.ResponseWriter, r *http.Request) {
	refuse := func(status int, why string) {
		p.t.Errorf("the request is refused: %s", why)
		w.WriteHeader(status)
	}
	content, err := io.ReadAll(r.Body)
	if err != nil || r.ContentLength != int64(len(content)) {
		refuse(http.StatusBadRequest, "its length is not told")
		return
	}
	if kind := r.Header.Get("Content-Type"); kind != "application/json; charset=utf-8" {
		refuse(http.StatusUnsupportedMediaType, kind)
		return
	}
	signature := r.Header.Get("X-Ninchat-Signature")
	if r.Header.Get("X-Ninchat-Format") == "wrapped" {
		var wrapped webhook.WrappedWebhook
		if err := json.Unmarshal(content, &wrapped); err != nil || !wrapped.Wrapped {
			refuse(http.StatusBadRequest, "it is not wrapped")
			return
		}
		content, signature = wrapped.JSON, wrapped.Signature
	}
	var document webhook.Webhook
	if err := json.Unmarshal(content, &document); err != nil {
		refuse(http.StatusBadRequest, err.Error())
		return
	}
	if document.Exp < time.Now().Unix() {
		refuse(http.StatusForbidden, "it has expired")
		return
	}
	public := p.key(document.Kid)
	signed, err := hex.DecodeString(signature)
	if public == nil || err != nil || !ed25519.Verify(public, content, signed) {
		refuse(http.StatusForbidden, "the signature is wrong")
		return
	}
	if document.Event == webhook.EventWebhookVerification {
		w.Header().Set("Content-Type", "application/json; charset=utf-8")
		if _, err := w.Write(document.WebhookVerificationResponse()); err != nil {
			p.t.Error(err)
		}
		return
	}
	p.documents <- document
}

// next is the next document, which must be of this event and for this realm.
func (p *processor) next(event webhook.EventType, realm string) webhook.Webhook {
	p.t.Helper()
	for end := time.After(limit); ; {
		select {
		case document := <-p.documents:
			if document.Aud != "realm:"+realm || document.EventID == "" {
				p.t.Errorf("it is for %s: %s", document.Aud, document.EventID)
			}
			if document.Event == event {
				return document
			}
			if document.Event != webhook.EventMessageSent {
				p.t.Fatalf("%s came instead of %s", document.Event, event)
			}
		case <-end:
			p.t.Fatalf("no %s came", event)
		}
	}
}

func TestWebhooksVerifyAndAreReadByTheOfficialPackage(t *testing.T) {
	for _, format := range []string{"default", "wrapped"} {
		t.Run(format, func(t *testing.T) {
			s := startServer(t)
			operator, agent := user(t, s.address(), "operator"), user(t, s.address(), "agent")
			realm, queue := desk(t, operator, agent)
			p := startProcessor(t, s)
			operator.ask("levee_webhook_created", "levee_create_webhook", params{
				"realm_id": realm, "url": p.server.URL, "format": format, "events": []string{
					"audience_requested", "audience_accepted", "audience_agent_released", "audience_complete", "message_sent"}})
			updated := operator.next("levee_webhook_updated")
			if hook, _ := updated.Params["webhook"].(params); hook["state"] != "active" {
				t.Fatalf("the webhook is not active: %v", updated.Params)
			}
			// What belongs to a realm knows within a second what the realm has decided.
			time.Sleep(1100 * time.Millisecond)
			customer := guest(t, s.address(), "Cleo")
			customer.ask("audience_enqueued", "request_audience",
				params{"queue_id": queue, "audience_metadata": params{"order": "17"}})
			channel := text(agent.ask("channel_joined", "accept_audience", params{"queue_id": queue}), "channel_id")
			customer.next("channel_joined")
			where := params{"channel_id": channel}
			customer.say(where, "My order is late.")
			customer.ask("channel_parted", "part_channel", params{"channel_id": channel})
			agent.ask("channel_parted", "part_channel", params{"channel_id": channel})

			document := p.next(webhook.EventAudienceRequested, realm)
			requested, err := document.AudienceRequested()
			if err != nil {
				t.Fatal(err)
			}
			if requested.QueueID != queue || requested.Queue.Name != "Help" || requested.Realm.Name != "Shop" ||
				string(requested.Audience.Metadata["order"]) != `"17"` || !requested.Audience.Members[customer.userID()].Customer {
				t.Errorf("it was requested: %+v", requested)
			}
			document = p.next(webhook.EventAudienceAccepted, realm)
			accepted, err := document.AudienceAccepted()
			if err != nil {
				t.Fatal(err)
			}
			if accepted.ChannelID != channel || accepted.QueueMember.UserID != agent.userID() ||
				accepted.AudienceID != requested.AudienceID || accepted.Audience.AcceptTime < accepted.Audience.RequestTime {
				t.Errorf("it was accepted: %+v", accepted)
			}
			document = p.next(webhook.EventAudienceAgentReleased, realm)
			released, err := document.AudienceAgentReleased()
			if err != nil {
				t.Fatal(err)
			}
			if released.QueueMember.UserID != agent.userID() {
				t.Errorf("it was released: %+v", released)
			}
			document = p.next(webhook.EventAudienceComplete, realm)
			complete, err := document.AudienceComplete()
			if err != nil {
				t.Fatal(err)
			}
			said := false
			for _, message := range complete.Messages {
				if message.Type == webhook.MessageText {
					content, err := message.TextPayload()
					said = err == nil && content.Text == "My order is late." && message.UserID == customer.userID()
				}
			}
			if !said || complete.QueueMember == nil || complete.Audience.CompleteTime < complete.Audience.FinishTime {
				t.Errorf("it is complete: %+v", complete)
			}
		})
	}
}
