package official

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"sync/atomic"
	"testing"

	ninchat "github.com/ninchat/ninchat-go"
)

const (
	nodes = 3
	// rooms are so many that each node may own one.
	rooms = 3
	// each is how many messages each of the two writes.
	each = 120
)

// cluster is nodes on one PostgreSQL and one Redis, and the one address by which clients reach them.
type cluster struct {
	nodes    []*server
	balancer *balancer
}

func startCluster(t *testing.T) *cluster {
	t.Helper()
	under := startBacking(t)
	c := &cluster{}
	var addresses []string
	for range nodes {
		node := startServer(t, "--store", "postgres", "--postgres-url", under.Postgres,
			"--redis-url", under.Redis, "--workers", "1")
		c.nodes, addresses = append(c.nodes, node), append(addresses, node.address())
	}
	c.balancer = startBalancer(t, addresses)
	return c
}

// backing is where PostgreSQL and Redis are.
type backing struct {
	Postgres string `json:"postgres"`
	Redis    string `json:"redis"`
}

// startBacking starts both; they end with the test.
func startBacking(t *testing.T) (under backing) {
	t.Helper()
	program := os.Getenv("LEVEE_BACKING")
	if program == "" {
		t.Fatal("LEVEE_BACKING must name the program that starts PostgreSQL and Redis")
	}
	child := exec.Command(program)
	child.Stderr = os.Stderr
	in, err := child.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := child.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		// It ends both when its input does, which is so too if this process dies.
		in.Close()
		_ = child.Wait()
	})
	line, err := bufio.NewReader(out).ReadBytes('\n')
	if err != nil {
		t.Fatalf("PostgreSQL and Redis don't start: %v", err)
	}
	if err := json.Unmarshal(line, &under); err != nil {
		t.Fatal(err)
	}
	return under
}

func TestANodeThatIsKilledLosesRepeatsAndSwapsNoMessageBehindABalancer(t *testing.T) {
	t.Run("WebSocket", func(t *testing.T) {
		c := startCluster(t)
		chatThroughAKill(t, c, c.balancer.address())
	})
	t.Run("long polling", func(t *testing.T) {
		c := startCluster(t)
		p := startProxy(t, c.balancer.address())
		chatThroughAKill(t, c, p.address())
		p.wasUsed(t)
	})
}

// chatThroughAKill has two people write into several channels, and kills the node to which one of them is connected.
func chatThroughAKill(t *testing.T, c *cluster, address string) {
	ann := user(t, address, "ann")
	victim := int(c.balancer.latest.Load())
	ben := user(t, address, "ben")
	people := []*person{ann, ben}
	var where []string
	for range rooms {
		where = append(where, channel(ann, ben)["channel_id"].(string))
	}
	var replies atomic.Int64
	killed := make(chan struct{})
	landed := make([]int64, nodes)
	said := make(map[string][][]string)
	type sent struct {
		by         *person
		number     int64
		what, room string
	}
	var actions []sent
	for _, room := range where {
		said[room] = make([][]string, len(people))
	}
	for number := range each {
		for who, by := range people {
			room, what := where[number%rooms], fmt.Sprintf("message %d of %d", number, who)
			action := &ninchat.Action{
				Params:  params{"action": "send_message", "message_type": "ninchat.com/text", "channel_id": room},
				Payload: []ninchat.Frame{frame(t, what)},
				OnReply: func(event *ninchat.Event) {
					// Without an event, the test has failed and closed the session.
					if event != nil && replies.Add(1) == killAt {
						// Who was there is elsewhere in a moment.
						for node := range landed {
							landed[node] = c.balancer.landed[node].Load()
						}
						c.nodes[victim].kill()
						close(killed)
					}
				},
			}
			if err := by.session.Send(action); err != nil {
				t.Fatal(err)
			}
			id, err := action.GetID()
			if err != nil {
				t.Fatal(err)
			}
			said[room][who] = append(said[room][who], what)
			actions = append(actions, sent{by, id, what, room})
		}
	}
	wait(t, killed, "killing")

	acknowledged := make(map[string]string)
	for _, action := range actions {
		for _, reply := range action.by.answered(action.number) {
			id := text(reply, "message_id")
			if reply.String() != "message_received" || spoken(t, reply) != action.what {
				t.Fatalf("%q is answered by %v", action.what, reply.Params)
			}
			if before := acknowledged[action.what]; before != "" && before != id {
				t.Errorf("%q was stored as %s, then as %s", action.what, before, id)
			}
			acknowledged[action.what] = id
		}
	}
	heard := [][]*ninchat.Event{ann.hearEvents(2 * each), ben.hearEvents(2 * each)}
	for _, room := range where {
		texts, ids := ann.history(params{"channel_id": room})
		for who := range people {
			whose := func(what string) bool { return !slices.Contains(said[room][who], what) }
			if own := slices.DeleteFunc(slices.Clone(texts), whose); !slices.Equal(own, said[room][who]) {
				t.Errorf("of what %d wrote, the history %s", who, differs(own, said[room][who]))
			}
		}
		if all := slices.Concat(said[room]...); len(texts) != len(all) {
			t.Errorf("%d messages were written, and %d are in the history", len(all), len(texts))
		}
		for at, what := range texts {
			if acknowledged[what] != ids[at] {
				t.Errorf("%q was acknowledged as %s, and is %s in the history", what, acknowledged[what], ids[at])
			}
		}
		for who := range people {
			var came []string
			for _, event := range heard[who] {
				if text(event, "channel_id") == room {
					came = append(came, spoken(t, event))
				}
			}
			if !slices.Equal(came, texts) {
				t.Errorf("what %d heard, beside the history, %s", who, differs(came, texts))
			}
		}
		if other, _ := ben.history(params{"channel_id": room}); !slices.Equal(other, texts) {
			t.Errorf("the other's history %s", differs(other, texts))
		}
	}
	for _, one := range people {
		if len(one.sessions) != 0 {
			t.Errorf("the session was lost: %v", (<-one.sessions).Params)
		}
	}
	if landed[victim] == 0 {
		t.Error("nobody was on the node that was killed")
	}
	var later int64
	for node := range landed {
		if node != victim {
			later += c.balancer.landed[node].Load() - landed[node]
		}
	}
	if later == 0 {
		t.Error("nobody came to another node")
	}
}
