//! Runs a file of `ncnnkit compile` on a raw RGB picture: `detect NAME.wasm picture.rgb WIDTH HEIGHT [ROUNDS]`.
//! Prints a line for each box: class, score, x, y, width, height; on stderr milliseconds, from the start and of the fastest round.
use std::{env, error::Error, fs, time::Instant};
use wasmtime::{Engine, Instance, Module, Store};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = env::args().collect();
    let [_, file, picture, width, height, rest @ ..] = arguments.as_slice() else {
        return Err("usage: detect NAME.wasm picture.rgb WIDTH HEIGHT [ROUNDS]".into());
    };
    let rounds: u32 = rest.first().map_or(Ok(1), |text| text.parse())?;
    let pixels = fs::read(picture)?;
    let (width, height): (i32, i32) = (width.parse()?, height.parse()?);

    let began = Instant::now();
    let engine = Engine::default();
    let module = Module::from_file(&engine, file)?;
    let mut store = Store::new(&engine, ());
    let instance = Instance::new(&mut store, &module, &[])?;
    let memory = instance.get_memory(&mut store, "memory").ok_or("no memory")?;
    let room = instance.get_typed_func::<(i32, i32, i32), i32>(&mut store, "picture")?;
    let preprocess = instance.get_typed_func::<(i32, i32, i32, i32), i32>(&mut store, "preprocess")?;
    let run = instance.get_typed_func::<(), i32>(&mut store, "run")?;
    let detect = instance.get_typed_func::<(f64, f64, i32), i32>(&mut store, "detect")?;

    let once = |store: &mut Store<()>| -> Result<i32, Box<dyn Error>> {
        let address = room.call(&mut *store, (width, height, 3))?;
        memory.write(&mut *store, address as usize, &pixels)?;
        if address == 0 || preprocess.call(&mut *store, (width, height, 3, 0))? != 0 {
            return Err("not a picture that the file takes".into());
        }
        run.call(&mut *store, ())?;
        Ok(detect.call(&mut *store, (0.25, 0.45, 300))?)
    };
    let mut count = once(&mut store)?;
    let first = began.elapsed();
    let mut fastest = first;
    for _ in 1..rounds {
        let start = Instant::now();
        count = once(&mut store)?;
        fastest = fastest.min(start.elapsed());
    }
    eprintln!("{:.1} {:.1}", first.as_secs_f64() * 1e3, fastest.as_secs_f64() * 1e3);
    let table = instance.get_global(&mut store, "detections").ok_or("no detections")?;
    let table = table.get(&mut store).i32().ok_or("detections: no i32")? as usize;
    for i in 0..count as usize {
        let bytes = &memory.data(&store)[table + i * 24..][..24];
        let word = |at: usize| [0, 1, 2, 3].map(|k| bytes[at * 4 + k]);
        let float = |at: usize| f32::from_le_bytes(word(at));
        let class = i32::from_le_bytes(word(5));
        println!("{class} {:.4} {:.2} {:.2} {:.2} {:.2}", float(4), float(0), float(1), float(2), float(3));
    }
    Ok(())
}
