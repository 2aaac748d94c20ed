"""What our notes must cover: a promise of the project, which a group's own folder need not keep."""

from __future__ import annotations

import functools

import pytest

from bot.content import corpus_dir
from ingest.notes import LEVELS, Corpus, Note
from ingest.reading import read_corpus

# Every subject that the notes are to cover, as the topics in which it is treated.
SUBJECTS = {
    "framing and data": """
        objectives-and-proxies label-sources annotation-quality weak-supervision active-learning
        delayed-feedback leakage time-based-splits class-imbalance negative-sampling hard-negatives
        feature-engineering embeddings text-features image-and-video-features speech-recognition
        missing-data data-validation data-contracts data-lineage-and-versioning synthetic-data
        privacy-and-personal-data consent-and-data-provenance machine-unlearning position-bias
        feedback-loops exploration cost-sensitive-decisions
    """,
    "pipelines and platforms": """
        batch-and-streaming kafka-and-stream-processing etl-and-lakehouse feature-stores
        training-serving-skew orchestration experiment-tracking model-registries ci-cd-for-ml
        reproducibility tools-and-platforms
    """,
    "models and training": """
        linear-models gradient-boosted-trees two-tower-retrieval
        learned-sparse-retrieval-and-late-interaction rerankers candidate-generation-and-ranking
        deep-ctr-models embedding-table-sharding sequential-recommendation generative-recommendation
        multi-task-learning learning-to-rank contrastive-learning
        convolutional-networks-and-vision-transformers object-detection speech-recognition
        diffusion-models transformers multimodal-models document-extraction graph-neural-networks
        anomaly-detection forecasting bandits uplift-modelling calibration hyperparameter-tuning
        transfer-learning-and-fine-tuning lora post-training
        reinforcement-learning-with-verifiable-rewards preference-data distributed-training
        distributed-llm-fine-tuning mixture-of-experts federated-learning distillation quantisation
        pruning-and-sparsity
    """,
    "evaluation": """
        classification-metrics ranking-metrics regression-metrics forecasting-metrics
        generation-metrics slice-based-evaluation offline-and-online-evaluation ab-testing
        power-and-duration experiment-pitfalls variance-reduction sequential-testing
        interference-and-switchbacks interleaving counterfactual-evaluation human-evaluation
        llm-as-judge evaluating-llm-applications
    """,
    "serving": """
        serving-modes edge-deployment latency-budgets capacity-arithmetic prediction-caching
        prefix-and-semantic-caching approximate-nearest-neighbour vector-databases
        embedding-model-migration model-servers-and-batching gpus-and-inference-cost autoscaling
        load-balancing canary-and-shadow-deployment fallbacks-and-degradation llm-serving
        prefill-decode-disaggregation speculative-decoding multi-lora-serving
        model-routing-and-cascades retrieval-augmented-generation permission-aware-retrieval
        context-engineering tool-use-and-protocols agent-memory agents guardrails prompt-injection
    """,
    "operating": """
        data-drift concept-drift drift-tests alerting retraining-policies model-decay
        provider-and-model-migration rollback incident-response explainability fairness
        responsible-ai-and-the-eu-ai-act security-of-ml-systems technical-debt
        service-level-objectives on-call-for-ml cost-of-ml
    """,
}

FRAMEWORK = """
    clarify-requirements frame-the-problem high-level-design data-and-features model-development
    evaluation serving-and-scale monitoring-and-operations published-formulas time-management
    how-interviewers-score communication-and-diagrams classical-and-ml-interviews
    preparing-in-one-week preparing-in-four-weeks preparing-in-eight-weeks
"""

CASES = {"fraud-detection", "video-recommendation", "visual-search"}


@functools.cache
def corpus() -> Corpus:
    return read_corpus(corpus_dir())


def of_kind(kind: str) -> list[Note]:
    return [note for note in corpus().notes if note.meta.kind == kind]


@pytest.mark.parametrize("area", SUBJECTS)
def test_every_subject_has_its_topic(area: str) -> None:
    written = {note.id.removeprefix("topics/") for note in of_kind("topic")}
    assert [subject for subject in SUBJECTS[area].split() if subject not in written] == []


def test_the_framework_is_whole() -> None:
    written = {note.id.removeprefix("framework/") for note in of_kind("framework")}
    assert [name for name in FRAMEWORK.split() if name not in written] == []


def test_there_are_at_least_ninety_topics_and_forty_questions() -> None:
    assert len(of_kind("topic")) >= 90
    assert len(of_kind("faq")) >= 40


def test_a_topic_has_three_to_seven_sections() -> None:
    assert [n.id for n in of_kind("topic") if not 3 <= len(n.sections) <= 7] == []


def test_two_hundred_public_sources_are_cited() -> None:
    assert len(corpus().sources) >= 200


def test_the_first_cases_are_there() -> None:
    assert {case.id for case in corpus().cases} >= CASES


def test_a_case_asks_more_of_a_senior() -> None:
    for case in corpus().cases:
        levels = [point.level for point in case.head.points]
        assert all(levels.count(level) >= 4 for level in LEVELS), case.id
