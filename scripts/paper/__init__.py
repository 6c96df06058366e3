"""The experiments of Houlsby et al. 2019."""
