CREATE VIRTUAL TABLE words USING fts5(text, detail = none, tokenize = "unicode61 remove_diacritics 0");
-- Deleted words are gone at once, not at the index's next merge.
INSERT INTO words (words, rank) VALUES ('secure-delete', 1);
