"""Reading videos and words, and writing the reply.

native.py        CLIP + abstractor as an `Encoder`, our language model over an engine as a `LanguageModel`
detokenizer.py   a stream of token ids as a stream of whole characters
stopping.py      ending a streamed reply before the words that shall end it

Other kinds of language models (published ones, remote endpoints) are further files, and rows of the table in
`loading.py`.
"""

from gpt4video.understanding.detokenizer import Detokenizer
from gpt4video.understanding.native import NativeEncoder, NativeLanguageModel
from gpt4video.understanding.stopping import StopStrings

__all__ = ["Detokenizer", "NativeEncoder", "NativeLanguageModel", "StopStrings"]
