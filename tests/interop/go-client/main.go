// A client of Temporal's Go SDK that knows no key: it asks the codec server, by the SDK's own remote data converter.
//
// It sends a parcel to the Rust worker and reads back what comes of it. JSON on stdin and stdout.
package main

import (
	"context"
	"encoding/json"
	"log"
	"net/http"
	"os"

	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/converter"
	"go.temporal.io/sdk/temporal"
)

type parcel struct {
	Address   string         `json:"address"`
	Codec     string         `json:"codec"`
	Token     string         `json:"token"`
	Namespace string         `json:"namespace"`
	Queue     string         `json:"queue"`
	ID        string         `json:"id"`
	Order     map[string]any `json:"order"`
	Memo      map[string]any `json:"memo"`
	Label     string         `json:"label"`
	Prefix    string         `json:"prefix"`
}

type answer struct {
	Labels []string       `json:"labels"`
	Result string         `json:"result"`
	Memo   map[string]any `json:"memo"`
}

func (p parcel) converter() converter.DataConverter {
	return converter.NewRemoteDataConverter(converter.GetDefaultDataConverter(), converter.RemoteDataConverterOptions{
		Endpoint: p.Codec,
		ModifyRequest: func(request *http.Request) error {
			request.Header.Set("X-Namespace", p.Namespace)
			request.Header.Set("Authorization", "Bearer "+p.Token)
			return nil
		},
	})
}

func (p parcel) send(ctx context.Context) (answer, error) {
	var got answer
	data := p.converter()
	temporalClient, err := client.DialContext(ctx, client.Options{
		HostPort:      p.Address,
		Namespace:     p.Namespace,
		DataConverter: data,
		FailureConverter: temporal.NewDefaultFailureConverter(temporal.DefaultFailureConverterOptions{
			DataConverter:          data,
			EncodeCommonAttributes: true,
		}),
	})
	if err != nil {
		return got, err
	}
	defer temporalClient.Close()

	options := client.StartWorkflowOptions{ID: p.ID, TaskQueue: p.Queue, Memo: p.Memo}
	run, err := temporalClient.ExecuteWorkflow(ctx, options, "Parcel", p.Order)
	if err != nil {
		return got, err
	}
	if err := temporalClient.SignalWorkflow(ctx, p.ID, run.GetRunID(), "label", p.Label); err != nil {
		return got, err
	}
	labels, err := temporalClient.QueryWorkflow(ctx, p.ID, run.GetRunID(), "labels", p.Prefix)
	if err != nil {
		return got, err
	}
	if err := labels.Get(&got.Labels); err != nil {
		return got, err
	}
	if err := temporalClient.SignalWorkflow(ctx, p.ID, run.GetRunID(), "close", nil); err != nil {
		return got, err
	}
	if err := run.Get(ctx, &got.Result); err != nil {
		return got, err
	}
	description, err := temporalClient.DescribeWorkflowExecution(ctx, p.ID, run.GetRunID())
	if err != nil {
		return got, err
	}
	got.Memo = map[string]any{}
	for name, payload := range description.WorkflowExecutionInfo.Memo.Fields {
		var value any
		if err := data.FromPayload(payload, &value); err != nil {
			return got, err
		}
		got.Memo[name] = value
	}
	return got, nil
}

func main() {
	log.SetFlags(0)
	var sent parcel
	if err := json.NewDecoder(os.Stdin).Decode(&sent); err != nil {
		log.Fatal(err)
	}
	got, err := sent.send(context.Background())
	if err != nil {
		log.Fatal(err)
	}
	if err := json.NewEncoder(os.Stdout).Encode(got); err != nil {
		log.Fatal(err)
	}
}
