"""What can be said of a scene.

describe.py     things and requests as phrases, captions of videos and of single frames

questions.py    questions with answers          asking/      their templates
yesno.py        … that are answered yes or no   refer.py     words that point at one object
answers.py      what answers are made of        judge.py     whether a reply is right

requests.py     a request for a video in words  wishes.py    its templates
changes.py      what is then to be changed      wordings/    its templates
loose.py        wishes in any order of words    rough.py     turns as people type them

dialogues.py    conversations of every kind     turns.py     what they are made of
viewing.py      … about posted videos           drawing.py   … about drawings
leaning.py      turns that only those before them give a meaning
smalltalk.py    limits/      harm.py            what is said besides, declined, refused

corpus.py       plain text for the tokenizer and for pre-training
"""
