package official

import (
	"errors"
	"testing"
	"time"

	ninchat "github.com/ninchat/ninchat-go"
	"github.com/ninchat/ninchat-go/ninchatapi"
)

// typed is the one event that answers a typed action. Most actions can be invoked for that, but neither
// add_member, whose answer the typed interface can't take in, nor accept_audience, where it knows no channel.
func typed[E ninchatapi.Event](t *testing.T, p *person, action ninchatapi.Action, event E) E {
	t.Helper()
	answers := make(chan *ninchat.Event, 8)
	if err := ninchatapi.Call(p.session, answers, action); err != nil {
		t.Fatal(err)
	}
	select {
	case answer := <-answers:
		if err := event.Init(answer); err != nil {
			t.Fatalf("%s was answered by %v: %v", action, answer.Params, err)
		}
	case <-time.After(limit):
		t.Fatalf("%s has no answer", action)
	}
	return event
}

// must is what an action brought, which may not be an error.
func must[R any](reply *R, err error) func(t *testing.T) *R {
	return func(t *testing.T) *R {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		if reply == nil {
			t.Fatal("the session has ended")
		}
		return reply
	}
}

func pointer[T any](value T) *T { return &value }

// value is what is pointed at; nothing where there is nothing.
func value[T any](pointer *T) (found T) {
	if pointer != nil {
		found = *pointer
	}
	return found
}

// desk is a realm with a queue and an agent, all made by typed actions.
func desk(t *testing.T, operator, agent *person) (realm, queue string) {
	t.Helper()
	joined := must((&ninchatapi.CreateRealm{
		RealmAttrs: &ninchatapi.RealmAttrs{Name: pointer("Shop")}}).Invoke(operator.session))(t)
	if joined.RealmMembers[operator.userID()] == nil {
		t.Errorf("the operator is no member: %v", joined.RealmMembers)
	}
	made := must((&ninchatapi.CreateQueue{
		RealmId:    &joined.RealmId,
		QueueAttrs: &ninchatapi.QueueAttrs{Name: pointer("Help"), Capacity: pointer(5)},
	}).Invoke(operator.session))(t)
	who := agent.userID()
	member := typed(t, operator,
		&ninchatapi.AddMember{RealmId: &joined.RealmId, UserId: &who}, &ninchatapi.RealmMemberJoined{})
	if member.UserId != who || member.RealmId != joined.RealmId {
		t.Errorf("somebody else became a member: %+v", member)
	}
	helper := typed(t, operator,
		&ninchatapi.AddMember{QueueId: &made.QueueId, UserId: &who}, &ninchatapi.QueueMemberJoined{})
	if helper.UserId != who || helper.QueueId != made.QueueId {
		t.Errorf("somebody else became an agent: %+v", helper)
	}
	return joined.RealmId, made.QueueId
}

func TestAnAudienceIsHeldByTypedActions(t *testing.T) {
	s := startServer(t)
	operator, agent := user(t, s.address(), "operator"), user(t, s.address(), "agent")
	_, queue := desk(t, operator, agent)
	customer := guest(t, s.address(), "Cleo")

	place := must((&ninchatapi.RequestAudience{
		QueueId: &queue, AudienceMetadata: params{"order": "17"}}).Invoke(customer.session))(t)
	if place.QueueId != queue || place.QueuePosition != 1 || value(place.QueueAttrs.Name) != "Help" {
		t.Errorf("the place is %+v", place)
	}
	accepted := typed(t, agent, &ninchatapi.AcceptAudience{QueueId: &queue}, &ninchatapi.ChannelJoined{})
	var joined ninchatapi.ChannelJoined
	if err := joined.Init(customer.next("channel_joined")); err != nil {
		t.Fatal(err)
	}
	if joined.ChannelId != accepted.ChannelId {
		t.Errorf("the agent is in %s, the customer in %s", accepted.ChannelId, joined.ChannelId)
	}
	for _, one := range []*person{agent, customer} {
		if accepted.ChannelMembers[one.userID()] == nil && joined.ChannelMembers[one.userID()] == nil {
			t.Errorf("%s is not in the channel", one.userID())
		}
	}

	for _, turn := range []struct {
		from *person
		what string
	}{{customer, "My order is late."}, {agent, "It arrives today."}} {
		sent := must((&ninchatapi.SendMessage{
			ChannelId:   &joined.ChannelId,
			MessageType: pointer("ninchat.com/text"),
			Payload:     []ninchat.Frame{frame(t, turn.what)},
		}).Invoke(turn.from.session))(t)
		if value(sent.MessageUserId) != turn.from.userID() || value(sent.ChannelId) != joined.ChannelId {
			t.Errorf("it was sent as %+v", sent)
		}
		for _, one := range []*person{customer, agent} {
			if heard := one.hear(1); heard[0] != turn.what {
				t.Errorf("%q was heard, %q was said", heard[0], turn.what)
			}
		}
	}
}

func TestWhatIsDescribedHasTypedAttributes(t *testing.T) {
	s := startServer(t)
	operator, agent := user(t, s.address(), "operator"), user(t, s.address(), "agent")
	realm, queue := desk(t, operator, agent)

	shop := must((&ninchatapi.DescribeRealm{RealmId: &realm}).Invoke(operator.session))(t)
	if value(shop.RealmAttrs.Name) != "Shop" || value(shop.RealmAttrs.OwnerId) != operator.userID() {
		t.Errorf("the realm has the attributes %+v", shop.RealmAttrs)
	}
	if owner := shop.RealmMembers[operator.userID()]; owner == nil || !owner.MemberAttrs.Operator {
		t.Errorf("its owner is no operator: %+v", owner)
	}
	if member := shop.RealmMembers[agent.userID()]; member == nil || member.MemberAttrs.Operator {
		t.Errorf("the agent is no plain member: %+v", member)
	}
	help := must((&ninchatapi.DescribeQueue{QueueId: &queue}).Invoke(agent.session))(t)
	if value(help.QueueAttrs.Name) != "Help" || help.QueueAttrs.Closed {
		t.Errorf("the queue has the attributes %+v", help.QueueAttrs)
	}
	if member := help.QueueMembers[agent.userID()]; member == nil {
		t.Errorf("the queue has the members %v", help.QueueMembers)
	}
	// The typed attributes have no place for a number as JSON has it.
	plain := agent.ask("queue_found", "describe_queue", params{"queue_id": queue})
	if attrs, _ := plain.Map("queue_attrs"); attrs["capacity"] != 5.0 {
		t.Errorf("the queue has the attributes %v", attrs)
	}
	customer := guest(t, s.address(), "Cleo")
	offered := must((&ninchatapi.DescribeRealmQueues{RealmId: &realm}).Invoke(customer.session))(t)
	if one := offered.RealmQueues[queue]; len(offered.RealmQueues) != 1 || one == nil || value(one.QueueAttrs.Name) != "Help" {
		t.Errorf("a guest sees the queues %v", offered.RealmQueues)
	}
	who := agent.userID()
	other := must((&ninchatapi.DescribeUser{UserId: &who}).Invoke(customer.session))(t)
	if value(other.UserAttrs.Name) != "agent" || other.UserAttrs.Guest || !other.UserAttrs.Connected {
		t.Errorf("the agent has the attributes %+v", other.UserAttrs)
	}
	own := must((&ninchatapi.DescribeUser{}).Invoke(customer.session))(t)
	if own.UserId != customer.userID() || !own.UserAttrs.Guest || own.UserAccount == nil {
		t.Errorf("a guest sees of itself %+v", own)
	}
}

func TestARefusalIsATypedError(t *testing.T) {
	s := startServer(t)
	operator, agent := user(t, s.address(), "operator"), user(t, s.address(), "agent")
	_, queue := desk(t, operator, agent)
	customer := guest(t, s.address(), "Cleo")
	for name, refused := range map[string]error{
		"queue_not_found": second((&ninchatapi.DescribeQueue{QueueId: pointer("nothing")}).Invoke(customer.session)),
		"realm_not_found": second((&ninchatapi.DescribeRealm{RealmId: pointer("nothing")}).Invoke(customer.session)),
		"queue_is_empty":  second((&ninchatapi.AcceptAudience{QueueId: &queue}).Invoke(agent.session)),
	} {
		var typed *ninchatapi.Error
		if !errors.As(refused, &typed) || typed.ErrorType != name {
			t.Errorf("%s was expected, it is %v", name, refused)
		}
	}
}

func second[R any](_ *R, err error) error { return err }
