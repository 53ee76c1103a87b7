// A codec server made of the Go SDK's own handler, with one AES-256-GCM key, as in Temporal's samples.
package main

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"log"
	"net"
	"net/http"

	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/proto"
)

const encoding = "binary/encrypted"

type codec struct{ aead cipher.AEAD }

func (c codec) Encode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	result := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		plain, err := proto.Marshal(payload)
		if err != nil {
			return payloads, err
		}
		size := c.aead.NonceSize()
		sealed := make([]byte, size, size+len(plain)+c.aead.Overhead())
		if _, err := rand.Read(sealed); err != nil {
			return payloads, err
		}
		result[i] = &commonpb.Payload{
			Metadata: map[string][]byte{
				converter.MetadataEncoding: []byte(encoding),
				"encryption-key-id":        []byte("bench"),
			},
			Data: c.aead.Seal(sealed, sealed, plain, nil),
		}
	}
	return result, nil
}

func (c codec) Decode(payloads []*commonpb.Payload) ([]*commonpb.Payload, error) {
	result := make([]*commonpb.Payload, len(payloads))
	for i, payload := range payloads {
		if string(payload.Metadata[converter.MetadataEncoding]) != encoding {
			result[i] = payload
			continue
		}
		size := c.aead.NonceSize()
		if len(payload.Data) < size {
			return payloads, errors.New("too short")
		}
		plain, err := c.aead.Open(nil, payload.Data[:size], payload.Data[size:], nil)
		if err != nil {
			return payloads, err
		}
		result[i] = &commonpb.Payload{}
		if err := proto.Unmarshal(plain, result[i]); err != nil {
			return payloads, err
		}
	}
	return result, nil
}

func main() {
	key := make([]byte, 32)
	if _, err := rand.Read(key); err != nil {
		log.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		log.Fatal(err)
	}
	aead, err := cipher.NewGCM(block)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("listening on http://%s\n", listener.Addr())
	log.Fatal(http.Serve(listener, converter.NewPayloadCodecHTTPHandler(codec{aead})))
}
