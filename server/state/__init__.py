"""What outlives a request and a process: records in a database, bytes in a blob store.

records.py     FileRecord, VideoRecord           what the API speaks of
tables.py      the same, as a database keeps them
database.py    SQLite by default, PostgreSQL by URL; migrated at the start
blobs.py       bytes by their hash, in a folder or in a bucket
store.py       records and bytes together, each with its owner
"""
