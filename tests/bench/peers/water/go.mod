module water

go 1.23.1

require (
	contestant v0.0.0
	github.com/songgao/water v0.0.0-20200317203138-2b4b6d7c09d8
)

require golang.org/x/sys v0.32.0 // indirect

replace contestant => ../contestant
