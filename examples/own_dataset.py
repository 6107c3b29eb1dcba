"""Your own questions and documents as an environment.

python examples/own_dataset.py
"""

import gymnasium as gym

from atommem_env import Answer, Create, QADataset, Read

records = [
    {
        "question": "In which year was the bridge that Marta Lindqvist designed opened?",
        "answers": ["1931", "the year 1931"],
        "documents": [
            {
                "title": "Marta Lindqvist",
                "text": "Marta Lindqvist was an engineer. She designed the Aune Bridge.",
            },
            {"title": "Aune Bridge", "text": "The Aune Bridge is made of steel. It was opened in 1931."},
            {"title": "Ostra Bridge", "text": "The Ostra Bridge was opened in 1958 by a mayor."},
        ],
        # Optional: without it there is no evidence funnel. A title or position alone means the whole document.
        "supporting": [
            {"document": "Marta Lindqvist", "sentence": "She designed the Aune Bridge."},
            {"document": "Aune Bridge", "sentence": "It was opened in 1931."},
        ],
    },
    {
        "question": "Who painted the portrait in the hall of Brenholt?",
        "answer": "Harald Brekke",
        "documents": [
            {"title": "Brenholt", "text": "The hall of Brenholt holds a portrait by Harald Brekke."}
        ],
        "supporting": ["Brenholt"],
    },
]
more = [
    {"title": f"Mill {number}", "text": f"Mill number {number} grinds barley and oats."}
    for number in range(40)
]

dataset = QADataset.from_records(records, documents=more, name="bridges")
env = gym.make(
    "AtomMem-Custom-v0", source=dataset, num_docs=20, num_questions=1, chunk_tokens=200, chunk_overlap=20
)

observation, info = env.reset(options={"task_index": 0})
print(observation["questions"], "in", observation["num_chunks"], "chunks")
while observation["phase"] == 0:
    documents = env.unwrapped.split_documents(observation["chunk"])
    action = [
        Create(f"{d.title}\n{d.text}")
        for d in documents
        if d.start_complete and not d.title.startswith("Mill")
    ]
    observation, *_ = env.step(action)

observation, *_ = env.step([Read(observation["questions"][0])])
for entry in observation["retrieved"]:
    print(f"  entry {entry['id']} ({entry['score']:.2f}): {entry['content']!r}")
_, reward, _, _, info = env.step([Answer("1931")])
print(f"answered 1931: reward {reward}, evidence {info['metrics']['questions'][0]['evidence']}")
