module pktkit

go 1.25.3

require (
	contestant v0.0.0
	github.com/KarpelesLab/pktkit v0.1.2
)

require golang.org/x/sys v0.32.0 // indirect

replace contestant => ../contestant
