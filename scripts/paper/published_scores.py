"""The scores that Houlsby et al. 2019 publish, in points from 0 to 100.

Source: Parameter-Efficient Transfer Learning for NLP, arXiv 1902.00751. Tasks are named as in
`scripts/suites`, methods as in `reproduce.py`: `full` is fine-tuning, `top-k` the paper's variable
fine-tuning, `houlsby` adapters of the best of several sizes, `houlsby-64` adapters of size 64.
"""

from __future__ import annotations

# Backbone and test set of the scores; both differ from ours.
GLUE_ORIGIN = "BERT-large (330M parameters), GLUE's hidden test set"
ADDITIONAL_ORIGIN = "BERT-base, the paper's own test split"

# Table 1: one score per method, of the run that was best on validation.
GLUE: dict[str, dict[str, float]] = {
    "cola": {"full": 60.5, "houlsby": 59.5, "houlsby-64": 56.9},
    "sst2": {"full": 94.9, "houlsby": 94.0, "houlsby-64": 94.2},
    "mrpc": {"full": 89.3, "houlsby": 89.5, "houlsby-64": 89.6},
    "stsb": {"full": 87.6, "houlsby": 86.9, "houlsby-64": 87.3},
    "qqp": {"full": 72.1, "houlsby": 71.8, "houlsby-64": 71.8},
    "mnli": {"full": 86.7, "houlsby": 84.9, "houlsby-64": 85.3},  # matched
    "qnli": {"full": 91.1, "houlsby": 90.7, "houlsby-64": 91.4},
    "rte": {"full": 70.1, "houlsby": 71.5, "houlsby-64": 68.8},
}
GLUE_MNLI_MISMATCHED = {"full": 85.9, "houlsby": 85.1, "houlsby-64": 84.6}
GLUE_METRICS = {
    "cola": "matthews",
    "sst2": "accuracy",
    "mrpc": "f1",
    "stsb": "spearman",
    "qqp": "f1",
    "mnli": "accuracy",
    "qnli": "accuracy",
    "rte": "accuracy",
}
# Its last and first columns. The total is the score of GLUE's leaderboard, which includes further
# metrics of some tasks, so it is not the mean of the columns above. The parameters count all nine
# tasks of GLUE: 9 x, and 1 + 9 x share.
GLUE_TOTAL = {"full": 80.4, "houlsby": 80.0, "houlsby-64": 79.6}
GLUE_SHARE = {"full": 100.0, "houlsby": 3.6, "houlsby-64": 2.1}  # trained per task, percent
GLUE_MULTIPLE = {"full": 9.0, "houlsby": 1.3, "houlsby-64": 1.2}  # of the backbone, all tasks

# Table 2: test accuracy and its standard error over seeds.
ADDITIONAL: dict[str, dict[str, tuple[float, float]]] = {
    "newsgroups": {"full": (92.8, 0.1), "top-k": (92.8, 0.1), "houlsby": (91.7, 0.2)},
    "airline": {"full": (83.6, 0.3), "top-k": (84.0, 0.1), "houlsby": (84.5, 0.2)},
    "corporate_messaging": {"full": (92.5, 0.5), "top-k": (92.4, 0.6), "houlsby": (92.9, 0.3)},
    "disasters": {"full": (85.3, 0.4), "top-k": (85.3, 0.4), "houlsby": (84.1, 0.2)},
    "economic_news": {"full": (82.1, 0.0), "top-k": (78.9, 2.8), "houlsby": (82.5, 0.3)},
    "emotion": {"full": (38.4, 0.1), "top-k": (37.6, 0.2), "houlsby": (38.7, 0.1)},
    "global_warming": {"full": (84.2, 0.4), "top-k": (81.9, 0.2), "houlsby": (82.7, 0.3)},
    "political_audience": {"full": (80.9, 0.3), "top-k": (80.7, 0.8), "houlsby": (79.0, 0.5)},
    "political_bias": {"full": (75.2, 0.9), "top-k": (76.5, 0.4), "houlsby": (75.9, 0.3)},
    "political_message": {"full": (38.9, 0.6), "top-k": (44.9, 0.6), "houlsby": (44.1, 0.2)},
    "primary_emotions": {"full": (36.9, 1.6), "top-k": (38.2, 1.0), "houlsby": (33.9, 1.4)},
    "progressive_opinion": {"full": (71.6, 0.5), "top-k": (75.9, 1.3), "houlsby": (71.7, 1.1)},
    "progressive_stance": {"full": (63.8, 1.0), "top-k": (61.5, 1.3), "houlsby": (60.6, 1.4)},
    "us_economic_performance": {
        "full": (75.3, 0.1),
        "top-k": (76.5, 0.4),
        "houlsby": (77.3, 0.1),
    },
    "customer_complaints": {"full": (55.9, 0.1), "top-k": (56.4, 0.1), "houlsby": (55.4, 0.1)},
    "news_aggregator": {"full": (96.3, 0.0), "top-k": (96.5, 0.0), "houlsby": (96.2, 0.0)},
    "sms_spam": {"full": (99.3, 0.2), "top-k": (99.3, 0.2), "houlsby": (95.1, 2.2)},
}
ADDITIONAL_AVERAGE = {"full": 73.7, "top-k": 74.0, "houlsby": 73.3}
ADDITIONAL_SHARE = {"full": 100.0, "top-k": 52.9, "houlsby": 1.14}
ADDITIONAL_MULTIPLE = {"full": 17.0, "top-k": 9.9, "houlsby": 1.19}

# Its column "No BERT": the best result of a search over other models.
ADDITIONAL_WITHOUT_BERT = {
    "newsgroups": 91.1,
    "airline": 84.5,
    "corporate_messaging": 91.9,
    "disasters": 84.9,
    "economic_news": 81.1,
    "emotion": 36.3,
    "global_warming": 82.7,
    "political_audience": 81.0,
    "political_bias": 76.8,
    "political_message": 43.8,
    "primary_emotions": 33.5,
    "progressive_opinion": 70.6,
    "progressive_stance": 54.3,
    "us_economic_performance": 75.6,
    "customer_complaints": 54.5,
    "news_aggregator": 95.2,
    "sms_spam": 98.5,
}

# Section 3.4: BERT-base on MNLI's matched validation set; `top-k` is the top layer only.
MNLI_BERT_BASE = {"full": (84.4, 0.02), "houlsby-64": (83.7, 0.1), "top-k": (77.8, 0.1)}
# Section 3.4: loss relative to fine-tuning if only the LayerNorms are trained, about 40,000
# parameters of BERT-base.
LAYERNORM_LOSS = {"cola": -3.5, "mnli": -4.0}
# Section 3.5 and figure 5: F1 on SQuAD v1.1; the share is of BERT-base, in percent.
SQUAD_F1 = {"full": 90.7, "houlsby-64": 90.4, "houlsby-2": 89.9}
SQUAD_SHARE = {"full": 100.0, "houlsby-64": 2.0, "houlsby-2": 0.1}
# Section 3.6: mean validation accuracy over eight tasks of GLUE, by size of the adapters.
GLUE_BY_SIZE = {8: 86.2, 64: 85.8, 256: 85.7}
