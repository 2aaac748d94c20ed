"""Finding what the notes say: dense and lexical search, fusion, and the gate."""
