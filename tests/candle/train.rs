// Two networks, trained step by step on candle's Metal device and on its CPU device from the same
// weights and data: the losses agree, and fall. SGD is exact enough to compare closely; AdamW divides
// by the root of small numbers, which makes much of a last bit.
//
// The convolutional network takes one image at a time, and the gradients are added up: candle 0.11's
// Metal device takes the wrong numbers for the kernel of a convolution that is not contiguous, and the
// gradient of a convolution over several images has one.
use candle_core::{DType, Device, Result, Tensor};
use candle_nn::{
    conv2d, linear, loss, AdamW, Conv2d, Conv2dConfig, Linear, Module, Optimizer, VarBuilder,
    VarMap, SGD,
};

const IMAGES: usize = 16;
const SIDE: usize = 12;
const CLASSES: usize = 4;
const STEPS: usize = 20;

/// The same numbers in -1..1 every time, by a linear congruence.
struct Numbers(u64);

impl Numbers {
    fn next(&mut self) -> f32 {
        self.0 = self
            .0
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (self.0 >> 40) as f32 / (1 << 23) as f32 - 1.0
    }
    fn tensor(&mut self, scale: f32, dims: &[usize], device: &Device) -> Result<Tensor> {
        let values: Vec<f32> = (0..dims.iter().product())
            .map(|_| self.next() * scale)
            .collect();
        Tensor::from_vec(values, dims, device)
    }
}

/// Noise with one bright bar a class, which a network can learn.
fn data(device: &Device) -> Result<(Tensor, Tensor)> {
    let mut numbers = Numbers(1);
    let mut pixels = Vec::new();
    for image in 0..IMAGES {
        for _y in 0..SIDE {
            for x in 0..SIDE {
                let bright = x * CLASSES / SIDE == image % CLASSES;
                pixels.push(numbers.next() * 0.5 + if bright { 1.0 } else { 0.0 });
            }
        }
    }
    let labels: Vec<u32> = (0..IMAGES).map(|image| (image % CLASSES) as u32).collect();
    Ok((
        Tensor::from_vec(pixels, (IMAGES, 1, SIDE, SIDE), device)?,
        Tensor::new(labels, device)?,
    ))
}

/// candle starts weights at random, each device by its own generator: these are overwritten.
fn same_weights(map: &VarMap, device: &Device) -> Result<()> {
    let variables = map.data().lock().unwrap();
    let mut names: Vec<_> = variables.keys().collect();
    names.sort();
    let mut numbers = Numbers(2);
    for name in names {
        let variable = &variables[name];
        let inputs: usize = variable.dims().iter().skip(1).product();
        variable.set(&numbers.tensor(
            1.0 / (inputs.max(1) as f32).sqrt(),
            variable.dims(),
            device,
        )?)?;
    }
    Ok(())
}

struct Perceptron(Linear, Linear);

impl Module for Perceptron {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        self.1
            .forward(&self.0.forward(&x.flatten_from(1)?)?.gelu()?)
    }
}

struct Convolutional(Conv2d, Conv2d, Linear);

impl Module for Convolutional {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        let x = self.0.forward(x)?.relu()?.max_pool2d(2)?;
        self.2
            .forward(&self.1.forward(&x)?.relu()?.flatten_from(1)?)
    }
}

fn perceptron(vb: VarBuilder) -> Result<Box<dyn Module>> {
    Ok(Box::new(Perceptron(
        linear(SIDE * SIDE, 48, vb.pp("first"))?,
        linear(48, CLASSES, vb.pp("second"))?,
    )))
}

fn convolutional(vb: VarBuilder) -> Result<Box<dyn Module>> {
    let rest = (SIDE - 2) / 2 - 2;
    Ok(Box::new(Convolutional(
        conv2d(1, 6, 3, Conv2dConfig::default(), vb.pp("first"))?,
        conv2d(6, 8, 3, Conv2dConfig::default(), vb.pp("second"))?,
        linear(8 * rest * rest, CLASSES, vb.pp("third"))?,
    )))
}

fn train<O: Optimizer>(
    net: fn(VarBuilder) -> Result<Box<dyn Module>>,
    config: O::Config,
    batch: usize,
    device: &Device,
) -> Result<Vec<f32>> {
    let map = VarMap::new();
    let model = net(VarBuilder::from_varmap(&map, DType::F32, device))?;
    same_weights(&map, device)?;
    let mut optimizer = O::new(map.all_vars(), config)?;
    let (images, labels) = data(device)?;
    let mut losses = Vec::new();
    for _ in 0..STEPS {
        let mut loss = Tensor::zeros((), DType::F32, device)?;
        for at in (0..IMAGES).step_by(batch) {
            let scores = model.forward(&images.narrow(0, at, batch)?)?;
            loss = (loss + loss::cross_entropy(&scores, &labels.narrow(0, at, batch)?)?)?;
        }
        let loss = (loss * (batch as f64 / IMAGES as f64))?;
        optimizer.backward_step(&loss)?;
        losses.push(loss.to_scalar()?);
    }
    Ok(losses)
}

fn compare(name: &str, metal: Vec<f32>, cpu: Vec<f32>, tolerance: f32) {
    for (step, (m, c)) in metal.iter().zip(&cpu).enumerate() {
        assert!(
            (m - c).abs() <= tolerance * c.abs().max(0.1),
            "{name}, step {step}: {m}, on the CPU {c}"
        );
    }
    let (first, last) = (metal[0], metal[STEPS - 1]);
    assert!(
        last < first * 0.7,
        "{name}: the loss did not fall: {first} to {last}"
    );
    println!("{name}: {STEPS} losses agree, {first:.4} to {last:.4}");
}

fn both<O: Optimizer>(
    name: &str,
    net: fn(VarBuilder) -> Result<Box<dyn Module>>,
    config: O::Config,
    batch: usize,
    tolerance: f32,
) -> Result<()>
where
    O::Config: Clone,
{
    let metal = train::<O>(net, config.clone(), batch, &Device::new_metal(0)?)?;
    compare(
        name,
        metal,
        train::<O>(net, config, batch, &Device::Cpu)?,
        tolerance,
    );
    Ok(())
}

fn main() -> Result<()> {
    let adam = candle_nn::ParamsAdamW {
        lr: 0.002,
        ..Default::default()
    };
    both::<SGD>("perceptron, SGD", perceptron, 0.1, IMAGES, 1e-4)?;
    both::<AdamW>("perceptron, AdamW", perceptron, adam, IMAGES, 1e-3)?;
    both::<SGD>("convolutional, SGD", convolutional, 0.2, 1, 1e-4)
}
