// Two small llamas of candle-transformers with made weights, one in float and half, one quantised: the
// tokens that they choose on candle's Metal device are the ones that they choose on its CPU device.
use candle_core::quantized::gguf_file::{self, Value};
use candle_core::quantized::{GgmlDType, QTensor};
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::VarBuilder;
use candle_transformers::models::{llama, quantized_llama};
use std::collections::HashMap;
use std::io::Cursor;

const VOCABULARY: usize = 320;
const WIDTH: usize = 256; // quantised blocks are 256 weights long
const INNER: usize = 512;
const HEADS: usize = 8;
const KEY_HEADS: usize = 4;
const LAYERS: usize = 2;
const PROMPT: [u32; 5] = [1, 17, 42, 256, 7];
const TOKENS: usize = 24;

/// The same numbers in -1..1 every time, by a linear congruence.
struct Numbers(u64);

impl Numbers {
    fn tensor(&mut self, scale: f32, dims: &[usize]) -> Result<Tensor> {
        let mut next = || {
            self.0 = self
                .0
                .wrapping_mul(6364136223846793005)
                .wrapping_add(1442695040888963407);
            ((self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0) * scale
        };
        let values: Vec<f32> = (0..dims.iter().product()).map(|_| next()).collect();
        Tensor::from_vec(values, dims, &Device::Cpu)
    }
    fn weight(&mut self, rows: usize, columns: usize) -> Result<Tensor> {
        self.tensor((3.0 / columns as f32).sqrt(), &[rows, columns])
    }
}

/// Weights by their names in a layer, those of safetensors and those of GGUF.
fn layer(numbers: &mut Numbers) -> Result<Vec<(&'static str, &'static str, Tensor)>> {
    let keys = WIDTH / HEADS * KEY_HEADS;
    let one = || Tensor::ones(WIDTH, DType::F32, &Device::Cpu);
    Ok(vec![
        ("self_attn.q_proj", "attn_q", numbers.weight(WIDTH, WIDTH)?),
        ("self_attn.k_proj", "attn_k", numbers.weight(keys, WIDTH)?),
        ("self_attn.v_proj", "attn_v", numbers.weight(keys, WIDTH)?),
        (
            "self_attn.o_proj",
            "attn_output",
            numbers.weight(WIDTH, WIDTH)?,
        ),
        ("mlp.gate_proj", "ffn_gate", numbers.weight(INNER, WIDTH)?),
        ("mlp.up_proj", "ffn_up", numbers.weight(INNER, WIDTH)?),
        ("mlp.down_proj", "ffn_down", numbers.weight(WIDTH, INNER)?),
        ("input_layernorm", "attn_norm", one()?),
        ("post_attention_layernorm", "ffn_norm", one()?),
    ])
}

/// Every weight by its two names.
fn weights() -> Result<Vec<(String, String, Tensor)>> {
    let mut numbers = Numbers(3);
    let mut all = vec![
        (
            "model.embed_tokens".into(),
            "token_embd".into(),
            numbers.weight(VOCABULARY, WIDTH)?,
        ),
        (
            "lm_head".into(),
            "output".into(),
            numbers.weight(VOCABULARY, WIDTH)?,
        ),
        (
            "model.norm".into(),
            "output_norm".into(),
            Tensor::ones(WIDTH, DType::F32, &Device::Cpu)?,
        ),
    ];
    for i in 0..LAYERS {
        for (long, short, tensor) in layer(&mut numbers)? {
            all.push((
                format!("model.layers.{i}.{long}"),
                format!("blk.{i}.{short}"),
                tensor,
            ));
        }
    }
    Ok(all)
}

/// The most probable token again and again; `step` gives the scores after some tokens and their place.
fn greedy(
    device: &Device,
    mut step: impl FnMut(&Tensor, usize) -> Result<Tensor>,
) -> Result<Vec<u32>> {
    let (mut tokens, mut at) = (PROMPT.to_vec(), 0);
    while tokens.len() < PROMPT.len() + TOKENS {
        let new = Tensor::new(&tokens[at..], device)?.unsqueeze(0)?;
        let scores = step(&new, at)?.squeeze(0)?.to_dtype(DType::F32)?;
        at = tokens.len();
        tokens.push(scores.argmax(0)?.to_scalar()?);
    }
    Ok(tokens.split_off(PROMPT.len()))
}

fn plain(device: &Device, dtype: DType) -> Result<Vec<u32>> {
    let config = llama::Config {
        hidden_size: WIDTH,
        intermediate_size: INNER,
        vocab_size: VOCABULARY,
        num_hidden_layers: LAYERS,
        num_attention_heads: HEADS,
        num_key_value_heads: KEY_HEADS,
        use_flash_attn: false,
        rms_norm_eps: 1e-5,
        rope_theta: 10_000.0,
        bos_token_id: None,
        eos_token_id: None,
        rope_scaling: None,
        max_position_embeddings: 64,
        tie_word_embeddings: false,
    };
    let tensors: HashMap<String, Tensor> = weights()?
        .into_iter()
        .map(|(long, _, tensor)| (format!("{long}.weight"), tensor))
        .collect();
    let model = llama::Llama::load(VarBuilder::from_tensors(tensors, dtype, device), &config)?;
    let mut cache = llama::Cache::new(true, dtype, &config, device)?;
    greedy(device, |tokens, at| model.forward(tokens, at, &mut cache))
}

/// A GGUF file in memory, its matrices quantised.
fn gguf(kind: GgmlDType) -> Result<Cursor<Vec<u8>>> {
    let number = |n: usize| Value::U32(n as u32);
    let metadata = [
        ("general.architecture", Value::String("llama".into())),
        ("llama.attention.head_count", number(HEADS)),
        ("llama.attention.head_count_kv", number(KEY_HEADS)),
        ("llama.block_count", number(LAYERS)),
        ("llama.embedding_length", number(WIDTH)),
        ("llama.rope.dimension_count", number(WIDTH / HEADS)),
        ("llama.attention.layer_norm_rms_epsilon", Value::F32(1e-5)),
    ];
    let mut tensors = Vec::new();
    for (_, short, tensor) in weights()? {
        let kind = if tensor.rank() == 1 {
            GgmlDType::F32
        } else {
            kind
        };
        tensors.push((format!("{short}.weight"), QTensor::quantize(&tensor, kind)?));
    }
    let metadata: Vec<_> = metadata
        .iter()
        .map(|(name, value)| (*name, value))
        .collect();
    let tensors: Vec<_> = tensors
        .iter()
        .map(|(name, tensor)| (name.as_str(), tensor))
        .collect();
    let mut file = Cursor::new(Vec::new());
    gguf_file::write(&mut file, &metadata, &tensors)?;
    file.set_position(0);
    Ok(file)
}

fn quantised(device: &Device, kind: GgmlDType) -> Result<Vec<u32>> {
    let mut file = gguf(kind)?;
    let content = gguf_file::Content::read(&mut file)?;
    let mut model = quantized_llama::ModelWeights::from_gguf(content, &mut file, device)?;
    greedy(device, |tokens, at| model.forward(tokens, at))
}

/// The CPU device multiplies by quantised weights with activations quantised too, which the Metal device
/// does not. Its dequantised weights in float are what to compare with; candle asks once a thread.
fn dequantised(kind: GgmlDType) -> Result<Vec<u32>> {
    std::env::set_var("CANDLE_DEQUANTIZE_ALL", "1");
    let tokens = std::thread::spawn(move || quantised(&Device::Cpu, kind))
        .join()
        .unwrap();
    std::env::remove_var("CANDLE_DEQUANTIZE_ALL");
    tokens
}

fn compare(name: &str, metal: Vec<u32>, cpu: Vec<u32>) {
    assert_eq!(metal, cpu, "{name}: not the CPU device's tokens");
    println!("{name}: {} tokens agree: {:?}...", metal.len(), &metal[..6]);
}

fn main() -> Result<()> {
    let (metal, cpu) = (Device::new_metal(0)?, Device::Cpu);
    compare(
        "llama, float",
        plain(&metal, DType::F32)?,
        plain(&cpu, DType::F32)?,
    );
    compare(
        "llama, half",
        plain(&metal, DType::F16)?,
        plain(&cpu, DType::F16)?,
    );
    for kind in [
        GgmlDType::Q4_0,
        GgmlDType::Q8_0,
        GgmlDType::Q4K,
        GgmlDType::Q6K,
    ] {
        compare(
            &format!("llama, {kind:?}"),
            quantised(&metal, kind)?,
            dequantised(kind)?,
        );
    }
    Ok(())
}
