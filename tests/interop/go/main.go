// Prints payloads as Go codecs write them: the zlib codec of Temporal's SDK, and a snappy block of the serialized
// payload as the codec-server sample makes it. tests/vectors/foreign-go.json holds its output.
package main

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/golang/snappy"
	commonpb "go.temporal.io/api/common/v1"
	"go.temporal.io/sdk/converter"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
)

type vector struct {
	Name    string          `json:"name"`
	Payload json.RawMessage `json:"payload"`
	Plain   json.RawMessage `json:"plain"`
}

func asJSON(payload *commonpb.Payload) json.RawMessage {
	encoded, err := protojson.Marshal(payload)
	if err != nil {
		panic(err)
	}
	return encoded
}

func main() {
	plain := &commonpb.Payload{
		Metadata: map[string][]byte{"encoding": []byte("json/plain")},
		Data:     []byte(`{"note":"` + strings.Repeat("again and again, ", 20) + `"}`),
	}

	codec := converter.NewZlibCodec(converter.ZlibCodecOptions{AlwaysEncode: true})
	zipped, err := codec.Encode([]*commonpb.Payload{plain})
	if err != nil {
		panic(err)
	}

	serialized, err := proto.Marshal(plain)
	if err != nil {
		panic(err)
	}
	block := &commonpb.Payload{
		Metadata: map[string][]byte{"encoding": []byte("binary/snappy")},
		Data:     snappy.Encode(nil, serialized),
	}

	vectors := map[string]any{
		"description": "Payloads of Go codecs, made by tests/interop/go",
		"cases": []vector{
			{"zlib by go.temporal.io/sdk", asJSON(zipped[0]), asJSON(plain)},
			{"snappy by github.com/golang/snappy", asJSON(block), asJSON(plain)},
		},
	}
	encoder := json.NewEncoder(os.Stdout)
	encoder.SetIndent("", " ")
	if err := encoder.Encode(vectors); err != nil {
		panic(err)
	}
}
