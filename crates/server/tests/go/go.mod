module levee/official

go 1.24

require github.com/ninchat/ninchat-go v1.6.2

require (
	github.com/gopherjs/gopherjs v0.0.0-20211216084454-9ae78a3fa6dd // indirect
	github.com/gorilla/websocket v1.5.3 // indirect
)
