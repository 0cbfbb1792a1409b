module contestant

go 1.23.1

require golang.org/x/sys v0.32.0
