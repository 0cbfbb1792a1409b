// Answers IPv4 pings to whatever address, with the tun package of wireguard-go:
//
//	go build
//	tuntapctl run --tun --vnet-hdr --address 10.50.6.1/24 -- ./go-echo
//
// It is CreateUnmonitoredTUNFromFD() that needs no rights: CreateTUNFromFile()
// sets the MTU.
package main

import (
	"encoding/binary"
	"fmt"
	"os"
	"strconv"

	"golang.zx2c4.com/wireguard/tun"
)

const (
	headroom    = 16 // in which the package writes a virtio_net_hdr
	longest     = 65536
	ipv4, icmp  = 4, 1
	echoRequest = 8
	echoReply   = 0
)

// What changing the type does to the checksum; the addresses do nothing.
func sum(old uint16) uint16 {
	return uint16((uint32(old) + echoRequest<<8) % 0xffff)
}

// Makes the packet its answer, where it is an echo.
func answer(p []byte) bool {
	if len(p) < 28 || p[0]>>4 != ipv4 || p[9] != icmp {
		return false
	}
	body := p[int(p[0]&15)*4:]
	if len(body) < 8 || body[0] != echoRequest {
		return false
	}
	for i := 12; i < 16; i++ {
		p[i], p[i+4] = p[i+4], p[i]
	}
	body[0] = echoReply
	binary.BigEndian.PutUint16(body[2:], sum(binary.BigEndian.Uint16(body[2:])))
	return true
}

func must(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, "go-echo:", err)
		os.Exit(1)
	}
}

func main() {
	fd, err := strconv.Atoi(os.Getenv("TUNTAP_FD"))
	must(err)
	dev, name, err := tun.CreateUnmonitoredTUNFromFD(fd)
	must(err)
	buffers := make([][]byte, dev.BatchSize())
	for i := range buffers {
		buffers[i] = make([]byte, headroom+longest)
	}
	lengths := make([]int, len(buffers))
	fmt.Println("ready on", name, "in batches of", len(buffers))
	for {
		n, err := dev.Read(buffers, lengths, headroom)
		must(err)
		for i := range n {
			p := buffers[i][:headroom+lengths[i]]
			if answer(p[headroom:]) {
				_, err = dev.Write([][]byte{p}, headroom)
				must(err)
			}
		}
	}
}
