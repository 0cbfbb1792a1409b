// github.com/KarpelesLab/pktkit: a handler, which a goroutine of its own calls.
//
//	send recv echo wire	in mode none; wire by ConnectL3()
package main

import (
	"contestant"

	"github.com/KarpelesLab/pktkit"
	"github.com/KarpelesLab/pktkit/tuntap"
)

func open(name string) *tuntap.L3Dev {
	dev, err := tuntap.TUN(tuntap.Config{Name: name})
	contestant.Must(err)
	return dev
}

func send(dev *tuntap.L3Dev, packet []byte, n int) {
	for i := 0; i < n; i++ {
		contestant.Must(dev.Send(packet))
	}
}

// Between the rounds the handler holds a packet, so that all others wait in the
// device's queue; of a round's packets that one is read before the clock runs.
func recv(dev *tuntap.L3Dev) {
	wanted, done := make(chan int), make(chan struct{})
	left := 0
	dev.SetHandler(func(pktkit.Packet) error {
		if left == 0 {
			left = <-wanted
		}
		left--
		if left == 0 {
			done <- struct{}{}
		}
		return nil
	})
	contestant.Rounds(func(n int) {
		wanted <- n
		<-done
	})
}

func echo(dev *tuntap.L3Dev) {
	dev.SetHandler(func(packet pktkit.Packet) error {
		if !contestant.Turn(packet) {
			return nil
		}
		return dev.Send(packet)
	})
	contestant.Forever()
}

func wire(c *contestant.Contestant, a *tuntap.L3Dev) {
	var b *tuntap.L3Dev
	c.There(func() { b = open(c.NameB) })
	pktkit.ConnectL3(a, b)
	contestant.Forever()
}

func main() {
	c := contestant.Begin()
	c.OnlyModes("pktkit knows no offload", "none")
	dev := open(c.Name)
	switch c.Workload {
	case "send":
		packet := c.Packet()
		contestant.Rounds(func(n int) { send(dev, packet, n) })
	case "recv":
		recv(dev)
	case "echo":
		contestant.EndWithStdin()
		echo(dev)
	case "wire":
		contestant.EndWithStdin()
		wire(c, dev)
	default:
		contestant.Fail("%s is not known", c.Workload)
	}
}
