"""The catalog: tables of backbones, adapters, aliases, trials and verifications, in SQL."""
