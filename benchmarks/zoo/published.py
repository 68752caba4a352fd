"""What other tools reported of themselves, or others of them, beside our figures."""

PUBLISHED = """## Beside other tools

None of these was run on the programs above, and none of the sets below is ours: other faults, mostly of Keras and
TensorFlow 1, found in forum questions or made by mutation, and judged by other rules. A figure above is therefore not
better or worse than one below; the rows say what has been reported at all.

| tool | set | right cause | right place | false alarms | source |
| --- | --- | --- | --- | --- | --- |
| DEFault | 52 real faults (DeepFD's) | 33 of 52 = 63 % | – | – | ICSE 2025, its repository |
| DeepFD | 52 real faults | 27 of 52 = 52 % | 22 of 52 = 42 % | – | ICSE 2022, arXiv 2205.01938 |
| UMLAUT | the same 52 | 14 of 52 = 27 % | 12 of 52 = 23 % | 68 of 78 normal MNIST models flagged | DeepFD's sheet; DeepDiagnosis's logs |
| AutoTrainer | the same 52 | 10 of 52 = 19 % | 8 of 52 = 15 % | 0 of its own (claimed) | DeepFD's sheet |
| DeepLocalize | the same 52 | 7 of 52 = 13 % | 5 of 52 = 10 % | 133 of 186 normal models flagged | DeepFD's sheet; DeepDiagnosis's logs |
| DeepDiagnosis | the same 52 | 38 of 52 = 73 % (symptom) | 28 of 52 = 54 % | 68 of 188 normal models flagged | ICSE 2022, its tables |
| PySiAssist | 365 PyTorch forum bugs, its own 14 patterns | recall 85 %, precision 94 % | line | 9 of 63 right snippets flagged | SANER 2024, its repository (static) |
| TrainCheck | 20 silent errors, mostly of frameworks | 18 detected, 10 exact | variable or API | < 2 % with 5–6 good reference runs | OSDI 2025 |

No published tool tries its fix on the user's training, so there is no column for it.
"""
