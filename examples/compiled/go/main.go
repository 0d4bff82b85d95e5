// Runs a file of `ncnnkit compile` on a raw RGB picture: `detect NAME.wasm picture.rgb WIDTH HEIGHT [ROUNDS]`.
// Prints a line for each box: class, score, x, y, width, height; on stderr milliseconds, from the start and of the fastest round.
package main

import (
	"context"
	"encoding/binary"
	"fmt"
	"log"
	"math"
	"os"
	"strconv"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

func must[T any](value T, err error) T {
	if err != nil {
		log.Fatal(err)
	}
	return value
}

func main() {
	if len(os.Args) < 5 {
		log.Fatal("usage: detect NAME.wasm picture.rgb WIDTH HEIGHT [ROUNDS]")
	}
	wasm, pixels := must(os.ReadFile(os.Args[1])), must(os.ReadFile(os.Args[2]))
	width, height := uint64(must(strconv.Atoi(os.Args[3]))), uint64(must(strconv.Atoi(os.Args[4])))
	rounds := 1
	if len(os.Args) > 5 {
		rounds = must(strconv.Atoi(os.Args[5]))
	}

	began := time.Now()
	ctx := context.Background()
	runtime := wazero.NewRuntime(ctx)
	defer runtime.Close(ctx)
	detector := must(runtime.Instantiate(ctx, wasm))
	call := func(name string, arguments ...uint64) int32 {
		return api.DecodeI32(must(detector.ExportedFunction(name).Call(ctx, arguments...))[0])
	}

	detect := func() int32 {
		address := call("picture", width, height, 3)
		if address == 0 || !detector.Memory().Write(uint32(address), pixels) || call("preprocess", width, height, 3, 0) != 0 {
			log.Fatal("not a picture that the file takes")
		}
		call("run")
		return call("detect", api.EncodeF64(0.25), api.EncodeF64(0.45), 300)
	}
	count := detect()
	first := time.Since(began)
	fastest := first
	for i := 1; i < rounds; i++ {
		start := time.Now()
		count = detect()
		fastest = min(fastest, time.Since(start))
	}
	fmt.Fprintf(os.Stderr, "%.1f %.1f\n", first.Seconds()*1000, fastest.Seconds()*1000)
	table := uint32(detector.ExportedGlobal("detections").Get())
	for i := uint32(0); i < uint32(count); i++ {
		bytes, _ := detector.Memory().Read(table+i*24, 24)
		float := func(at int) float32 { return math.Float32frombits(binary.LittleEndian.Uint32(bytes[at*4:])) }
		class := int32(binary.LittleEndian.Uint32(bytes[20:]))
		fmt.Printf("%d %.4f %.2f %.2f %.2f %.2f\n", class, float(4), float(0), float(1), float(2), float(3))
	}
}
