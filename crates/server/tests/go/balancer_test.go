package official

import (
	"io"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// balancer passes each connection on to the next node that takes it, as it is: TLS ends at the nodes.
type balancer struct {
	listener net.Listener
	nodes    []string
	turn     atomic.Int64
	// landed counts the connections that each node has got.
	landed []atomic.Int64
	// latest is the node that has got the last one.
	latest atomic.Int64
	open   sync.Map
}

func startBalancer(t *testing.T, nodes []string) *balancer {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	b := &balancer{listener: listener, nodes: nodes, landed: make([]atomic.Int64, len(nodes))}
	t.Cleanup(func() {
		listener.Close()
		b.open.Range(func(connection, _ any) bool {
			connection.(net.Conn).Close()
			return true
		})
	})
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			go b.pass(client, int(b.turn.Add(1)-1))
		}
	}()
	return b
}

func (b *balancer) address() string {
	return b.listener.Addr().String()
}

// pass joins a client and a node. Whichever is gone takes the other with it.
func (b *balancer) pass(client net.Conn, first int) {
	b.open.Store(client, nil)
	defer b.open.Delete(client)
	defer client.Close()
	for at := range b.nodes {
		number := (first + at) % len(b.nodes)
		node, err := net.DialTimeout("tcp", b.nodes[number], time.Second)
		if err != nil {
			continue
		}
		defer node.Close()
		b.landed[number].Add(1)
		b.latest.Store(int64(number))
		done := make(chan struct{}, 2)
		for _, way := range [][2]net.Conn{{client, node}, {node, client}} {
			go func() {
				_, _ = io.Copy(way[0], way[1])
				done <- struct{}{}
			}()
		}
		<-done
		return
	}
}
