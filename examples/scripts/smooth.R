# Cross-validates a local regression (loess) of the cars' braking distances.
# Usage: Rscript smooth.R --span=0.75 --degree=2
options <- list(span = "0.75", degree = "2", seed = "0")
for (word in commandArgs(trailingOnly = TRUE)) {
  parts <- strsplit(sub("^--", "", word), "=")[[1]]
  options[[parts[1]]] <- parts[2]
}
set.seed(as.integer(options$seed))
fold <- sample(rep(1:5, length.out = nrow(cars)))
errors <- numeric(0)
for (k in 1:5) {
  model <- loess(dist ~ speed, cars[fold != k, ],
    span = as.numeric(options$span), degree = as.integer(options$degree),
    control = loess.control(surface = "direct")
  )
  errors <- c(errors, cars$dist[fold == k] - predict(model, cars[fold == k, ]))
}
cat(sprintf("RMSE of 5 folds: %.4f\n", sqrt(mean(errors^2))))
