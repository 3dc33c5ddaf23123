"""Libraries that people use with PyTorch, from PyPI and unmodified, on "mps" against the CPU device: with small
random weights a forward pass and steps of training, which must be equal within TOLERANCE.

    clients.py [--list] [NAME ...]

NAME is a library, or one of its cases as LIBRARY.CASE. Prints for each what the processor ran.
"""
import argparse
import os
import pathlib
import sys
import tempfile
import time
import traceback
import warnings

os.environ |= {"HF_HUB_OFFLINE": "1", "TRANSFORMERS_VERBOSITY": "error", "TOKENIZERS_PARALLELISM": "false"}

import torch  # noqa: E402
from torch.nn import functional as F  # noqa: E402

import arcbox_mps  # noqa: E402

TOLERANCE = 1e-4  # of the largest number of a result; of a loss after steps of training
CASES = {}


def case(f):
    """The function's name is LIBRARY__CASE; called with a device it returns numbers to compare."""
    library, _, name = f.__name__.partition("__")
    CASES[f"{library}.{name}"] = f
    return f


def numbers(seed, *shape):
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def words(seed, most, *shape):
    return torch.randint(3, most, shape, generator=torch.Generator().manual_seed(seed))


def trained(network, loss_of, steps=2, rate=0.02):
    """The losses before each step and after the last."""
    optimiser = torch.optim.SGD(network.parameters(), lr=rate, momentum=0.9)
    network.train()
    losses = []
    for n in range(steps + 1):
        loss = loss_of()
        losses.append(loss.detach().cpu())
        if n < steps:
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
    return torch.stack(losses)


def still(network):
    """Without dropout, which cases' configurations have off where it is no module: each device draws its own."""
    for m in network.modules():
        if isinstance(m, torch.nn.modules.dropout._DropoutNd):
            m.p = 0.0
    return network


# ---- transformers

def language(network, device, loss_of, **inputs):
    network = still(network).to(device).eval()
    inputs = {k: v.to(device) for k, v in inputs.items()}
    with torch.no_grad():
        out = network(**inputs)
    first = next(out[k] for k in ("logits", "logits_per_image", "last_hidden_state") if k in out)
    return first.cpu(), trained(network, lambda: loss_of(network, inputs))


@case
def transformers__bert(device):
    from transformers import BertConfig, BertForSequenceClassification
    network = BertForSequenceClassification(BertConfig(
        vocab_size=300, hidden_size=64, num_hidden_layers=2, num_attention_heads=4, intermediate_size=128, num_labels=3))
    mask = torch.ones(4, 20, dtype=torch.long)
    mask[1, 12:] = 0
    labels = torch.tensor([0, 2, 1, 1], device=device)
    return language(network, device, lambda n, i: n(**i, labels=labels).loss,
                    input_ids=words(1, 300, 4, 20), attention_mask=mask)


def gpt2():
    from transformers import GPT2Config, GPT2LMHeadModel
    return GPT2LMHeadModel(GPT2Config(vocab_size=300, n_positions=64, n_embd=64, n_layer=2, n_head=4, bos_token_id=1,
                                      eos_token_id=2, pad_token_id=0))


def causal(n, i):
    return n(**i, labels=i["input_ids"]).loss


@case
def transformers__gpt2(device):
    return language(gpt2(), device, causal, input_ids=words(2, 300, 3, 16))


@case
def transformers__generate(device):
    """Greedily, by beams, with penalties; what is drawn by chance only in its form."""
    network = gpt2().to(device).eval()
    given = words(3, 300, 2, 6).to(device)
    common = dict(attention_mask=torch.ones_like(given), max_new_tokens=10, min_new_tokens=10)
    greedy = network.generate(given, do_sample=False, **common)
    beams = network.generate(given, do_sample=False, num_beams=3, **common)
    spoilt = network.generate(given, do_sample=False, repetition_penalty=1.3, no_repeat_ngram_size=2, **common)
    drawn = network.generate(given, do_sample=True, top_k=20, top_p=0.9, temperature=0.8, **common)
    assert drawn.shape == greedy.shape and bool((drawn < 300).all())
    return greedy.cpu(), beams.cpu(), spoilt.cpu()


@case
def transformers__llama(device):
    from transformers import LlamaConfig, LlamaForCausalLM
    network = LlamaForCausalLM(LlamaConfig(
        vocab_size=300, hidden_size=64, intermediate_size=128, num_hidden_layers=2, num_attention_heads=4,
        num_key_value_heads=2, max_position_embeddings=64, bos_token_id=1, eos_token_id=2, pad_token_id=0))
    return language(network, device, causal, input_ids=words(4, 300, 3, 16))


@case
def transformers__clip(device):
    from transformers import CLIPConfig, CLIPModel
    small = dict(hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
    config = CLIPConfig(text_config=small | dict(vocab_size=300, max_position_embeddings=32, eos_token_id=2, bos_token_id=1,
                                                 pad_token_id=0),
                        vision_config=small | dict(image_size=32, patch_size=8), projection_dim=32)
    return language(CLIPModel(config), device, lambda n, i: n(**i, return_loss=True).loss,
                    input_ids=words(5, 300, 3, 12), attention_mask=torch.ones(3, 12, dtype=torch.long),
                    pixel_values=numbers(5, 3, 3, 32, 32))


@case
def transformers__whisper(device):
    from transformers import WhisperConfig, WhisperForConditionalGeneration
    network = WhisperForConditionalGeneration(WhisperConfig(
        vocab_size=300, num_mel_bins=20, d_model=32, encoder_layers=2, decoder_layers=2, encoder_attention_heads=2,
        decoder_attention_heads=2, encoder_ffn_dim=64, decoder_ffn_dim=64, max_source_positions=50,
        max_target_positions=40, decoder_start_token_id=1, bos_token_id=1, eos_token_id=2, pad_token_id=0,
        suppress_tokens=None, begin_suppress_tokens=None))
    labels = words(6, 300, 2, 8).to(device)
    found = language(network, device, lambda n, i: n(input_features=i["input_features"], labels=labels).loss,
                     input_features=numbers(6, 2, 20, 100), decoder_input_ids=words(7, 300, 2, 8))
    heard = network.eval().generate(numbers(6, 2, 20, 100).to(device), max_new_tokens=6)
    return *found, heard.cpu()


@case
def transformers__t5(device):
    from transformers import T5Config, T5ForConditionalGeneration
    network = T5ForConditionalGeneration(T5Config(
        vocab_size=300, d_model=32, d_kv=8, d_ff=64, num_layers=2, num_heads=4, decoder_start_token_id=0, eos_token_id=2,
        pad_token_id=0, dropout_rate=0.0))
    labels = words(8, 300, 2, 8).to(device)
    return language(network, device, lambda n, i: n(input_ids=i["input_ids"], labels=labels).loss,
                    input_ids=words(9, 300, 2, 12), decoder_input_ids=words(10, 300, 2, 8))


# ---- timm

def pictures(network, device, size, classes=10, batch=4, rate=1e-3):
    network = still(network).to(device).eval()
    x, y = numbers(11, batch, 3, size, size).to(device), torch.arange(batch, device=device) % classes
    with torch.no_grad():
        out = network(x)
    return out.cpu(), trained(network, lambda: F.cross_entropy(network(x), y), rate=rate)


def of_timm(name, size=64, **more):
    def run(device):
        import timm
        return pictures(timm.create_model(name, num_classes=10, **more), device, size)
    CASES[f"timm.{name}"] = run


of_timm("resnet18")
of_timm("vit_tiny_patch16_224", img_size=64)
of_timm("convnext_atto")
of_timm("efficientnet_b0")
of_timm("swin_tiny_patch4_window7_224", img_size=64, window_size=4, depths=(1, 1, 2, 1), drop_path_rate=0.0)
of_timm("mobilenetv3_small_050")
of_timm("mixer_s32_224", size=224)
of_timm("regnety_002")
of_timm("densenet121")


@case
def timm__schedule(device):
    """Its optimiser, schedule, average of weights and mixup."""
    import timm
    from timm.data import Mixup
    from timm.loss import SoftTargetCrossEntropy
    from timm.optim import create_optimizer_v2
    from timm.scheduler import CosineLRScheduler
    from timm.utils import ModelEmaV3, accuracy
    import numpy
    numpy.random.seed(3)
    network = timm.create_model("resnet10t", num_classes=10).to(device).train()
    average = ModelEmaV3(network, decay=0.9)
    optimiser = create_optimizer_v2(network, "lamb", lr=1e-3, weight_decay=0.05)
    schedule = CosineLRScheduler(optimiser, t_initial=4, warmup_t=1, warmup_lr_init=1e-4)
    mix, criterion = Mixup(mixup_alpha=0.8, cutmix_alpha=1.0, num_classes=10, label_smoothing=0.1), SoftTargetCrossEntropy()
    losses = []
    for n in range(3):
        x, y = mix(numbers(20 + n, 4, 3, 64, 64).to(device), (torch.arange(4) + n).to(device))
        loss = criterion(network(x), y)
        optimiser.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimiser.step()
        average.update(network)
        schedule.step(n + 1)
        losses.append(loss.detach().cpu())
    accuracy(network(x).detach(), torch.arange(4, device=device), topk=(1, 5))
    return torch.stack(losses),


# ---- torchvision

def of_torchvision(name, size=64, **more):
    def run(device):
        import torchvision
        return pictures(getattr(torchvision.models, name)(num_classes=10), device, size, **more)
    CASES[f"torchvision.{name}"] = run


of_torchvision("resnet18")
of_torchvision("mobilenet_v3_small")
of_torchvision("squeezenet1_1")
of_torchvision("shufflenet_v2_x0_5", rate=1e-5)  # few pictures make its batch norms sensitive


@case
def torchvision__transforms(device):
    from torchvision.transforms import v2
    picture = (numbers(30, 3, 40, 50) * 40 + 128).clamp(0, 255).to(torch.uint8).to(device)
    plain = v2.Compose([v2.Resize((32, 32)), v2.ToDtype(torch.float32, scale=True), v2.Normalize([0.5] * 3, [0.2] * 3)])
    as_floats = picture.float()
    return (plain(as_floats).cpu(), v2.functional.resize(as_floats, [20, 24], interpolation=v2.InterpolationMode.BICUBIC).cpu(),
            v2.functional.gaussian_blur(as_floats, [5, 5]).cpu(), v2.functional.rotate(as_floats, 30.0).cpu(),
            v2.functional.pad(as_floats, [3, 4], padding_mode="reflect").cpu(),
            v2.functional.adjust_hue(as_floats / 255, 0.2).cpu(), v2.functional.horizontal_flip(picture).cpu())


@case
def torchvision__segmentation(device):
    import torchvision
    network = torchvision.models.segmentation.lraspp_mobilenet_v3_large(
        weights=None, weights_backbone=None, num_classes=5).to(device).eval()
    x, y = numbers(31, 2, 3, 64, 64).to(device), words(31, 5, 2, 64, 64).to(device)
    with torch.no_grad():
        out = network(x)["out"]
    return out.cpu(), trained(still(network), lambda: F.cross_entropy(network(x)["out"], y), rate=1e-3)


@case
def torchvision__detection(device):
    """Boxes that are found, and the losses of training: by non-maximum suppression and aligned regions."""
    import torchvision
    torch.manual_seed(5)
    network = torchvision.models.detection.fasterrcnn_mobilenet_v3_large_320_fpn(
        weights=None, weights_backbone=None, num_classes=4, min_size=96, max_size=96, box_detections_per_img=5,
        rpn_post_nms_top_n_test=20, box_score_thresh=0.0).to(device).eval()
    with torch.no_grad():
        found = network([numbers(32, 3, 96, 96).to(device)])[0]
    return found["scores"].cpu(), found["boxes"].cpu()


@case
def torchvision__boxes(device):
    """torchvision's own operators, of many boxes and of regions partly outside, by kernels alone."""
    from torchvision import ops
    corners = numbers(33, 700, 2) * 20
    boxes, scores = torch.cat([corners, corners + numbers(34, 700, 2).abs() * 15], 1), numbers(35, 700)
    picture, regions = numbers(36, 2, 8, 20, 24), torch.tensor([[0, 1.0, 2, 15, 12], [1, -3, -2, 10, 30], [1, 5, 5, 5.2, 5.1]])
    if device == "mps":
        import arcbox_mps
        arcbox_mps.forget_calls()
    kept = [ops.nms(boxes.to(device), scores.to(device), least).cpu().float() for least in (0.0, 0.3, 0.7)]
    aligned = []
    for exact, samples in ((False, -1), (True, -1), (True, 2)):
        x = picture.clone().to(device).requires_grad_()
        y = ops.roi_align(x, regions.to(device), (3, 5), 0.5, samples, exact)
        y.square().sum().backward()
        aligned += [y.detach().cpu(), x.grad.cpu()]
    if device == "mps":
        assert not arcbox_mps.calls()[1], arcbox_mps.calls()[1]
    return (*kept, *aligned)


# ---- diffusers

@case
def diffusers__unet(device):
    from diffusers import UNet2DConditionModel
    network = UNet2DConditionModel(
        sample_size=16, in_channels=4, out_channels=4, block_out_channels=(32, 64), layers_per_block=1,
        down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"), up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
        cross_attention_dim=32, attention_head_dim=8, norm_num_groups=8).to(device).eval()
    x, text, aim = numbers(40, 2, 4, 16, 16).to(device), numbers(41, 2, 7, 32).to(device), numbers(42, 2, 4, 16, 16).to(device)
    when = torch.tensor([3, 700], device=device)
    with torch.no_grad():
        out = network(x, when, text).sample
    return out.cpu(), trained(network, lambda: F.mse_loss(network(x, when, text).sample, aim))


@case
def diffusers__vae(device):
    from diffusers import AutoencoderKL
    network = AutoencoderKL(
        block_out_channels=(16, 32), down_block_types=("DownEncoderBlock2D",) * 2, up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4, norm_num_groups=8, sample_size=32).to(device).eval()
    x = numbers(43, 2, 3, 32, 32).to(device)
    with torch.no_grad():
        out = network(x).sample
    return out.cpu(), trained(network, lambda: F.mse_loss(network(x).sample, x))


@case
def diffusers__ddpm(device):
    """Steps of training with its noise schedule, and its pipeline's pictures."""
    from diffusers import DDIMPipeline, DDIMScheduler, DDPMScheduler, UNet2DModel
    network = UNet2DModel(sample_size=16, in_channels=1, out_channels=1, block_out_channels=(16, 32), layers_per_block=1,
                          down_block_types=("DownBlock2D", "AttnDownBlock2D"), up_block_types=("AttnUpBlock2D", "UpBlock2D"),
                          norm_num_groups=8, attention_head_dim=8).to(device)
    schedule = DDPMScheduler(num_train_timesteps=100)
    clean, noise = numbers(44, 4, 1, 16, 16).to(device), numbers(45, 4, 1, 16, 16).to(device)
    when = torch.tensor([1, 20, 50, 99], device=device)

    def loss():
        return F.mse_loss(network(schedule.add_noise(clean, noise, when), when).sample, noise)
    losses = trained(network, loss)
    pipeline = DDIMPipeline(network.eval(), DDIMScheduler(num_train_timesteps=100))
    pipeline.set_progress_bar_config(disable=True)
    drawn = pipeline(batch_size=2, generator=torch.Generator().manual_seed(3), num_inference_steps=4, output_type="np").images
    return losses, torch.from_numpy(drawn)


# ---- sentence-transformers

def small_bert(folder):
    from transformers import BertConfig, BertModel, BertTokenizer
    letters = "abcdefghijklmnopqrstuvwxyz"
    pathlib.Path(folder, "vocab.txt").write_text(
        "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *letters, *("##" + c for c in letters)]))
    torch.manual_seed(7)
    BertModel(BertConfig(vocab_size=57, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, intermediate_size=64,
                         max_position_embeddings=64, hidden_dropout_prob=0.0,
                         attention_probs_dropout_prob=0.0)).save_pretrained(folder)
    BertTokenizer(str(pathlib.Path(folder, "vocab.txt"))).save_pretrained(folder)


@case
def sentence_transformers__encode(device):
    import sentence_transformers as st
    from sentence_transformers import losses, util
    texts = ["a cat sat on a mat", "the cat is on the rug", "stock prices fell", "markets went down today"]
    with tempfile.TemporaryDirectory() as folder:
        small_bert(folder)
        model = st.SentenceTransformer(folder, device=device)
    vectors = model.encode(texts, convert_to_tensor=True, normalize_embeddings=True)
    assert vectors.device.type == device
    found = util.semantic_search(vectors[:1], vectors, top_k=3)[0]
    features = [model.tokenize(texts[:2]), model.tokenize(texts[2:])]
    features = [{k: v.to(device) for k, v in f.items() if torch.is_tensor(v)} for f in features]
    criterion, aim = losses.CosineSimilarityLoss(model), torch.tensor([0.9, 0.1], device=device)
    return (vectors.cpu(), util.cos_sim(vectors, vectors).cpu(), torch.tensor([f["score"] for f in found]),
            trained(model, lambda: criterion([dict(f) for f in features], aim)))


# ---- lightning, accelerate

def perceptron():
    torch.manual_seed(7)
    return torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.GELU(), torch.nn.Linear(32, 4))


def data():
    return torch.utils.data.DataLoader(
        torch.utils.data.TensorDataset(numbers(50, 64, 16), words(51, 7, 64) - 3), batch_size=16)


@case
def lightning__trainer(device):
    import lightning
    losses = []

    class Module(lightning.LightningModule):
        def __init__(self):
            super().__init__()
            self.network = perceptron()

        def training_step(self, batch, number):
            assert batch[0].device.type == device
            loss = F.cross_entropy(self.network(batch[0]), batch[1])
            self.log("loss", loss)
            losses.append(loss.detach().cpu())
            return loss

        def validation_step(self, batch, number):
            self.log("right", (self.network(batch[0]).argmax(1) == batch[1]).float().mean())

        def configure_optimizers(self):
            return torch.optim.AdamW(self.parameters(), lr=1e-2)
    with tempfile.TemporaryDirectory() as folder:
        trainer = lightning.Trainer(accelerator=device, devices=1, max_epochs=2, logger=False, default_root_dir=folder,
                                    enable_progress_bar=False, enable_model_summary=False, gradient_clip_val=1.0)
        trainer.fit(Module(), data(), data())
    return torch.stack(losses), trainer.callback_metrics["right"].cpu().float()


@case
def accelerate__accelerator(device):
    from accelerate import Accelerator
    from accelerate.state import AcceleratorState, GradientState, PartialState
    for state in (AcceleratorState, GradientState, PartialState):
        state._reset_state()
    accelerator = Accelerator(cpu=device == "cpu", gradient_accumulation_steps=2)
    assert accelerator.device.type == device, accelerator.device
    network = perceptron()
    network, optimiser, loader = accelerator.prepare(network, torch.optim.AdamW(network.parameters(), lr=1e-2), data())
    losses = []
    for x, y in loader:
        with accelerator.accumulate(network):
            loss = F.cross_entropy(network(x), y)
            accelerator.backward(loss)
            accelerator.clip_grad_norm_(network.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
        losses.append(accelerator.gather(loss.detach()).cpu().reshape(()))
    with tempfile.TemporaryDirectory() as folder:
        accelerator.save_state(folder)
        accelerator.load_state(folder)
    return torch.stack(losses),


# ----

def difference(ours, theirs):
    """The largest, of each result's largest number."""
    worst = 0.0
    for a, b in zip(ours, theirs, strict=True):
        if a.shape != b.shape:
            return float("inf")
        if not a.numel():
            continue
        a, b = a.double(), b.double()
        worst = max(worst, ((a - b).abs().max() / b.abs().max().clamp(min=1e-12)).nan_to_num(float("inf")).item())
    return worst


def run(name):
    """Whether it is equal; prints so, and what the processor ran."""
    start = time.time()
    results = []
    try:
        for device in ("cpu", "mps"):
            arcbox_mps.forget_calls()
            torch.manual_seed(7)
            results.append(CASES[name](device))
    except ImportError as e:
        print(f"{name}: skipped: {e}", flush=True)
        return True
    except Exception:
        traceback.print_exc()
        print(f"{name}: FAILED on {('cpu', 'mps')[len(results)]}", flush=True)
        return False
    worst = difference(results[1], results[0])
    fallen = ", ".join(f"{k.removeprefix('aten::')} x {n}" for k, n in sorted(arcbox_mps.calls()[1].items()))
    good = worst < TOLERANCE
    print(f"{name}: {worst:.1e} from the processor's, {time.time() - start:.1f} s; run by the processor: {fallen or 'nothing'}: "
          f"{'equal' if good else 'DIFFERS'}", flush=True)
    return good


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--list", action="store_true", help="print the cases")
    p.add_argument("names", nargs="*", metavar="NAME")
    a = p.parse_args()
    chosen = [n for n in CASES if not a.names or n in a.names or n.partition(".")[0] in a.names]
    if a.list or not chosen:
        print(*chosen or CASES, sep="\n")
        sys.exit(0 if a.list else 2)
    warnings.simplefilter("ignore")
    results = [run(n) for n in chosen]
    print(f"{sum(results)} of {len(results)} equal")
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
