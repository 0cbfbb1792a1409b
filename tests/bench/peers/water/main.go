// github.com/songgao/water: an io.ReadWriteCloser.
//
//	send recv echo wire	in mode none
package main

import (
	"contestant"

	"github.com/songgao/water"
)

func open(name string) *water.Interface {
	config := water.Config{DeviceType: water.TUN}
	config.Name = name
	dev, err := water.New(config)
	contestant.Must(err)
	return dev
}

func recv(dev *water.Interface, n int) {
	packet := make([]byte, contestant.PacketMax)
	for i := 0; i < n; i++ {
		_, err := dev.Read(packet)
		contestant.Must(err)
	}
}

func send(dev *water.Interface, packet []byte, n int) {
	for i := 0; i < n; i++ {
		_, err := dev.Write(packet)
		contestant.Must(err)
	}
}

func echo(dev *water.Interface) {
	packet := make([]byte, contestant.PacketMax)
	for {
		n, err := dev.Read(packet)
		contestant.Must(err)
		if contestant.Turn(packet[:n]) {
			dev.Write(packet[:n])
		}
	}
}

// What finds no room over there is lost, as on a wire.
func carry(from, to *water.Interface) {
	packet := make([]byte, contestant.PacketMax)
	for {
		n, err := from.Read(packet)
		contestant.Must(err)
		to.Write(packet[:n])
	}
}

func wire(c *contestant.Contestant, a *water.Interface) {
	var b *water.Interface
	c.There(func() { b = open(c.NameB) })
	go carry(a, b)
	go carry(b, a)
	contestant.Forever()
}

func main() {
	c := contestant.Begin()
	c.OnlyModes("water knows no offload", "none")
	dev := open(c.Name)
	switch c.Workload {
	case "send":
		packet := c.Packet()
		contestant.Rounds(func(n int) { send(dev, packet, n) })
	case "recv":
		contestant.Rounds(func(n int) { recv(dev, n) })
	case "echo":
		contestant.EndWithStdin()
		contestant.Ready()
		echo(dev)
	case "wire":
		contestant.EndWithStdin()
		wire(c, dev)
	default:
		contestant.Fail("%s is not known", c.Workload)
	}
}
