// candle's Metal device beside its CPU device: the same values from both.
use candle_core::{DType, Device, Result, Tensor};

fn values(device: &Device) -> Result<Vec<f32>> {
    let a = Tensor::arange(0f32, 12., device)?.reshape((3, 4))?;
    let b = Tensor::arange(0f32, 8., device)?.reshape((4, 2))?;
    let product = a.matmul(&b)?.flatten_all()?;
    let sums = a.sum(1)?.affine(0.5, 1.0)?.to_dtype(DType::F32)?;
    let rows = a.index_select(&Tensor::new(&[2u32, 0], device)?, 0)?.flatten_all()?;
    Tensor::cat(&[&product, &sums, &rows], 0)?.to_vec1()
}

fn main() -> Result<()> {
    let metal = values(&Device::new_metal(0)?)?;
    assert_eq!(metal, values(&Device::Cpu)?);
    println!("{} values agree", metal.len());
    Ok(())
}
